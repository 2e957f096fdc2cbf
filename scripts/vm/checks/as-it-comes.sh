# A machine whose settings are those of the kernel itself: everything works.
doctor 0
run 0 0 run -- id -u
run 0 1000 run -u keep -- id -u
run 0 LOOPBACK,UP run --net none -- ip link show lo
run 0 user sandbox -- id -un
run 0 "" run --root empty -v /bin -- busybox true
if at_least 5.11; then
    run 0 "" try -t never -- touch new
else
    run 125 "hint: it needs Linux 5.11; run Linux 5.11 or newer" try -t never -- touch new
fi
