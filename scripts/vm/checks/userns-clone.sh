# kernel.unprivileged_userns_clone, which Debian adds to its kernels.
setting=kernel.unprivileged_userns_clone
sysctl -qw $setting=0
doctor 2 user=EPERM:userns-clone-off
run 125 "hint: $setting is 0; allow user namespaces, for now and for good" run -- true
run 2 "sudo sysctl -w $setting=1" doctor
if at_least 6.2; then
    run 0 "" run --no-namespaces --read-only -v . -- true
else
    run 125 "hint: it needs Linux 6.2 with Landlock switched on" run --no-namespaces --read-only -v . -- true
fi
sysctl -qw $setting=1
run 0 "" run -- true
