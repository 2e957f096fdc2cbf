# user.max_*_namespaces=0 in the initial namespace, where hardening puts it and only root can raise it.
for kind in user pid mnt ipc uts cgroup net time; do
    setting=user.max_${kind}_namespaces
    usual=$(sysctl -n $setting)
    sysctl -qw $setting=0
    hint="hint: /proc/sys/user/max_${kind}_namespaces is 0; raise the limit"
    case $kind in
    user) doctor 2 user=ENOSPC:limit ;;
    mnt) doctor 2 mount=ENOSPC:limit ;;
    pid) doctor 2 pid=ENOSPC:limit ;;
    net) doctor 0 net=ENOSPC:limit together=ENOSPC:limit ;;
    time) doctor 0 time=ENOSPC:limit ;;
    *) doctor 2 $kind=ENOSPC:limit together=ENOSPC:limit ;;
    esac
    case $kind in
    net)
        run 0 "" run -- true
        run 125 "$hint" run --net none -- true
        run 125 "$hint" sandbox -- true
        run 0 "NO   rootlet sandbox" doctor
        ;;
    time)
        run 0 "" run -- true
        run 125 "$hint" run --boottime 100 -- true
        ;;
    *) run 125 "$hint" run -- true ;;
    esac
    run "$([ $kind = net ] || [ $kind = time ] && echo 0 || echo 2)" "sudo sysctl -w $setting=15000" doctor
    sysctl -qw $setting=$usual
done
run 0 "" run --net none -- true

# Not 0, but reached.
sysctl -qw user.max_user_namespaces=1
run 125 "a limit of namespaces is reached" run -- rootlet run -- true
