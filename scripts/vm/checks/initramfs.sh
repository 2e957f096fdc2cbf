# The root is the initial RAM file system, which pivot_root(2) does not take before Linux 7.0: views of it work, another root
# does not.
# boot: stay=1
if at_least 7.0; then
    doctor 0
    run 0 "" run --root empty -v /bin -- busybox true
else
    doctor 0 pivot-root=EINVAL:initramfs
    hint="hint: the root is the initial RAM file system, which cannot be exchanged; keep the host's root, with views on it"
    run 125 "$hint" run --root empty -- true
fi
run 0 0 run -- id -u
run 0 "" run -v /home/user:/tmp:ro -- true
run 0 user sandbox -- id -un
if at_least 5.11; then
    run 0 "" try -t never -- touch new
else
    run 125 "hint: it needs Linux 5.11; run Linux 5.11 or newer" try -t never -- touch new
fi
