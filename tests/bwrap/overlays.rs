//! Overlays (overlayfs): what lies over what, what is written where, and names with any characters.

use crate::programs::{TOOLS, with, words};
use crate::support::Dir;

/// Two layers, both with a file of their name and one called `both`; and directories for what is written.
fn layers() -> Dir {
    let dir = Dir::new();
    for layer in ["one", "two"] {
        dir.directory(layer);
        dir.file(&format!("{layer}/{layer}"), layer);
        dir.file(&format!("{layer}/both"), layer);
    }
    dir.directory("upper");
    dir.directory("work");
    dir
}

fn read(dir: &Dir, name: &str) -> String {
    std::fs::read_to_string(dir.at(name)).unwrap()
}

#[test]
fn a_later_layer_covers_an_earlier_one() {
    with(&["--tmp-overlay", "--ro-overlay"], |bwrap| {
        let layers = layers();
        let at = layers.text();
        for overlay in ["--tmp-overlay", "--ro-overlay"] {
            for (first, last) in [("one", "two"), ("two", "one")] {
                let options =
                    format!("--overlay-src {at}/{first} --overlay-src {at}/{last} {overlay} /a/b");
                let shown = bwrap.inside(&[], &options, "cd /a/b; ls; cat both");
                assert_eq!(shown, format!("both\none\ntwo\n{last}"), "{options}");
            }
        }
    });
}

#[test]
fn what_is_written_over_layers_is_kept_in_the_directory_for_it() {
    with(&["--overlay"], |bwrap| {
        let layers = layers();
        layers.file("upper/both", "upper");
        let at = layers.text();
        let options = format!(
            "--overlay-src {at}/one --overlay-src {at}/two --overlay {at}/upper {at}/work /o"
        );
        let script = "cat /o/both; echo new >/o/both; rm /o/two; echo made >/o/new; ls /o";
        assert_eq!(bwrap.inside(&[], &options, script), "upperboth\nnew\none");
        for (file, text) in [
            ("upper/both", "new\n"),
            ("upper/new", "made\n"),
            ("one/both", "one"),
            ("two/two", "two"),
        ] {
            assert_eq!(read(&layers, file), text, "{file}");
        }
        // And is there the next time.
        let shown = bwrap.inside(&[], &options, "cat /o/new; ls /o");
        assert_eq!(shown, "made\nboth\nnew\none");
    });
}

#[test]
fn what_is_written_over_layers_in_memory_vanishes_and_is_each_overlays_own() {
    with(&["--tmp-overlay"], |bwrap| {
        let layers = layers();
        let source = format!("--overlay-src {}", layers.at("one"));
        let options = format!("{source} --tmp-overlay /a {source} --tmp-overlay /b");
        let script = "echo new >/a/one; rm /a/both; cat /a/one /b/one; ls /b";
        for _ in 0..2 {
            assert_eq!(bwrap.inside(&[], &options, script), "new\noneboth\none");
        }
        assert_eq!(read(&layers, "one/one"), "one");
    });
}

#[test]
fn a_read_only_overlay_cannot_be_written() {
    with(&["--ro-overlay"], |bwrap| {
        let layers = layers();
        let at = layers.text();
        let options = format!("--overlay-src {at}/one --overlay-src {at}/two --ro-overlay /o");
        let script = "if (: >/o/both) 2>/dev/null || mkdir /o/new 2>/dev/null; then echo written; fi; cat /o/both";
        assert_eq!(bwrap.inside(&[], &options, script), "two");
    });
}

#[test]
fn names_of_layers_may_have_any_characters() {
    with(&["--overlay"], |bwrap| {
        let dir = Dir::new();
        let [one, two, upper, work] = ["one", "two", "upper", "work"]
            .map(|name| dir.directory(&format!("{name} ,:\\\"'=\n%1")));
        std::fs::write(format!("{one}/one"), "1").unwrap();
        std::fs::write(format!("{two}/two"), "2").unwrap();
        let place = "/o ,:\\\"=";
        let script = format!("cd '{place}'; cat one two; echo 3 >one; cat one");
        let kept = &["--overlay", &upper, &work, place][..];
        for overlay in [kept, &["--tmp-overlay", place]] {
            let sources = ["--overlay-src", &one, "--overlay-src", &two];
            let line = [
                &words(TOOLS),
                &sources[..],
                overlay,
                &["sh", "-ec", &script],
            ]
            .concat();
            assert_eq!(bwrap.run(&[], &line).ok(), "123");
        }
        assert_eq!(
            std::fs::read_to_string(format!("{upper}/one")).unwrap(),
            "3\n"
        );
    });
}

#[test]
fn overlays_and_views_cover_each_other_in_the_order_of_the_line() {
    with(&["--tmp-overlay"], |bwrap| {
        let layers = layers();
        let overlay = format!("--overlay-src {} --tmp-overlay /v", layers.at("one"));
        let bind = format!("--bind {}", layers.at("two"));
        for (options, shown) in [
            (format!("{overlay} {bind} /v"), "both two"),
            (format!("{bind} /v {overlay}"), "both one"),
            (
                format!("{overlay} --dir /v/made {bind} /v/made"),
                "both made one",
            ),
            (format!("{overlay} {bind} /v/made"), "both made one"),
        ] {
            assert_eq!(
                bwrap.inside(&[], &options, "cd /v; echo *"),
                shown,
                "{options}"
            );
        }
    });
}

#[test]
fn a_layer_that_is_not_there_is_an_error() {
    with(&["--overlay"], |bwrap| {
        let layers = layers();
        let at = layers.text();
        for (source, upper, work) in [
            ("no", "upper", "work"),
            ("one", "no", "work"),
            ("one", "upper", "no"),
        ] {
            let options =
                format!("--overlay-src {at}/{source} --overlay {at}/{upper} {at}/{work} /o");
            let why = format!("Can't find source path {at}/no: No such file or directory");
            bwrap.refuses_inside(&[], &options, &why);
        }
    });
}

#[test]
fn directories_that_overlap_make_no_overlay() {
    with(&["--overlay"], |bwrap| {
        let layers = layers();
        let at = layers.text();
        let options = format!("--overlay-src {at}/one --overlay {at}/one {at}/work /o");
        bwrap.refuses_inside(&[], &options, "Can't make overlay mount on ");
    });
}
