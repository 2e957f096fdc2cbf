# A kernel that has Landlock, but not among the security modules of its command line.
# boot: lsm=lockdown,yama,apparmor
since 5.13 Landlock
doctor 0 landlock=EOPNOTSUPP:landlock-off
run 0 "the kernel has it, but it was not switched on at boot" doctor
run 0 "" run -- true
run 0 "" sandbox -- true
run 125 "hint: it needs Linux 6.2 with Landlock switched on" run --no-namespaces --read-only -v . -- true
run 0 "NO   rootlet run --no-namespaces" doctor
