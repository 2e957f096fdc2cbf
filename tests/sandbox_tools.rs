//! Real tools at real work in a sandbox, without a network.

#[path = "support/host.rs"]
mod host;
mod support;

use host::{on_a_host, on_a_host_with};
use std::path::PathBuf;
use support::{installed, skip};

/// A Rust toolchain that this user can reach: the one that built this test, or a copy that scripts/test has made of root's.
fn toolchain() -> Option<PathBuf> {
    let copy = std::env::var_os("ROOTLET_TEST_TOOLCHAIN").map(PathBuf::from);
    let own = || {
        let cargo = PathBuf::from(std::env::var_os("CARGO")?);
        Some(cargo.ancestors().nth(2)?.to_path_buf())
    };
    let found = copy.or_else(own);
    let found = found.filter(|path| path.join("bin/rustc").is_file());
    if found.is_none() {
        skip("this user can reach no Rust toolchain");
    }
    found
}

#[test]
fn git_keeps_a_repository() {
    if !installed(&["git"]) {
        return;
    }
    let script = r#"
        printf '[user]\nname = Me\nemail = me@localhost\n' >~/.gitconfig
        echo secret >~/.git-credentials
        sandbox -- sh -ec 'git init -q .; echo one >file; git add file; git commit -qm "a commit"; git status --short; git log --format="%an %s"'
        echo two >>file; sandbox -- git status --short
        sandbox -- git config --global user.name Other 2>&- || echo refused
        git log --format=%s; git config user.name; git fsck"#;
    assert_eq!(
        on_a_host(&[], script).ok(),
        "Me a commit\n M file\nrefused\na commit\nMe"
    );
}

#[test]
fn make_and_cc_build_a_program() {
    if !installed(&["make", "cc"]) {
        return;
    }
    let script = r#"
        printf 'all: hello\n\t./hello\nhello: hello.o\n\t$(CC) -o $@ hello.o\n' >Makefile
        printf '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n' >hello.c
        sandbox -- make -s; ./hello; ls
        sandbox -- make -s"#;
    assert_eq!(
        on_a_host(&[], script).ok(),
        "hello\nhello\nMakefile\nhello\nhello.c\nhello.o\nhello"
    );
}

#[test]
fn cargo_builds_and_tests_a_crate() {
    let Some(toolchain) = toolchain().filter(|_| installed(&["cc"])) else {
        return;
    };
    let volume = format!(
        "{}:/home/me/.rustup/toolchains/test:ro",
        toolchain.display()
    );
    // A cargo home with settings and a token, as after `cargo login`.
    let script = r##"
        export PATH=$HOME/.rustup/toolchains/test/bin:$PATH
        mkdir ~/.cargo; echo '[term]' >~/.cargo/config.toml; echo token >~/.cargo/credentials.toml
        unset CARGO_TARGET_DIR CARGO_HOME RUSTUP_HOME
        sandbox -- sh -ec '
            cargo init -q --vcs none --name hello --lib .
            echo "#[test] fn it_works() { assert!(std::env::current_dir().is_ok()) }" >src/lib.rs
            cargo build -q --offline; cargo test --offline 2>&1 | grep -c "^test it_works ... ok"
            cat ~/.cargo/credentials.toml'
        ls; ls -A ~/.cargo"##;
    let variables = [("RUSTFLAGS", ""), ("CARGO_INCREMENTAL", "0")];
    let ran = on_a_host_with(&["-v", &volume], &variables, script);
    assert_eq!(
        ran.ok(),
        "1\nCargo.lock\nCargo.toml\nsrc\ntarget\nconfig.toml\ncredentials.toml"
    );
}

#[test]
fn pip_installs_a_package_into_a_virtual_environment() {
    if !installed(&["python3", "pip3"]) {
        return;
    }
    let script = r#"
        mkdir -p package/hello; echo 'GREETING = "hello"' >package/hello/__init__.py
        echo 'from setuptools import setup; setup(name="hello", version="1", packages=["hello"])' >package/setup.py
        sandbox -- sh -ec '
            python3 -m venv --system-site-packages --without-pip venv
            venv/bin/python -m pip install -q --no-index --no-build-isolation ./package
            venv/bin/python -c "import hello; print(hello.GREETING)"'
        venv/bin/python -c 'import hello; print(hello.__file__)'; ls -A ~"#;
    let out = on_a_host(&[], script).ok();
    let place = out.lines().nth(1).unwrap_or_default();
    assert!(place.starts_with("/home/me/project/venv/lib/"), "{out}");
    assert!(
        out.starts_with("hello\n") && out.ends_with("\nproject"),
        "{out}"
    );
}

#[test]
fn npm_ci_and_npm_test_work_with_a_dependency() {
    if !support::installed(&["npm"]) {
        return;
    }
    let script = r#"
        mkdir dep; echo '{"name": "dep", "version": "1.0.0"}' >dep/package.json; echo 'module.exports = "hello"' >dep/index.js
        (cd dep && npm pack --silent --pack-destination .. >/dev/null); rm -r dep
        echo '{"name": "p", "version": "1.0.0", "scripts": {"test": "node test.js"}, "dependencies": {"dep": "file:dep-1.0.0.tgz"}}' >package.json
        echo 'console.log(require("dep"))' >test.js
        npm install --offline --silent --package-lock-only --no-audit --no-fund; rm -rf ~/.npm
        echo '//registry.example/:_authToken=token' >~/.npmrc
        sandbox -- sh -ec 'npm ci --offline --no-audit --no-fund --silent; npm test --silent; cat ~/.npmrc 2>&- || echo closed'
        ls node_modules; ls -A ~"#;
    assert_eq!(
        on_a_host(&[], script).ok(),
        "hello\nclosed\ndep\n.npmrc\nproject"
    );
}

#[test]
fn a_pipeline_a_job_and_a_here_document_work() {
    let script = r#"
        sandbox -- bash -c 'cat <(echo one) <<<two; sleep 0 & wait; mktemp >/dev/null; seq 3 | sort -r | head -1 | tee file'
        echo in | sandbox -- cat; cat file; sandbox -- sh -c 'exit 7' || echo $?"#;
    assert_eq!(on_a_host(&[], script).ok(), "one\n3\nin\n3\n7");
}
