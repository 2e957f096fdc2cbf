# Limits: kept by control groups below one that is the user's, of which nothing is left whatever ends.
mkdir -p /sys/fs/cgroup
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
cd /sys/fs/cgroup
echo "+cpu +memory +pids" >cgroup.subtree_control
mkdir user
echo "+cpu +memory +pids" >user/cgroup.subtree_control

# Each time another group: the kernel lets nobody into one that passes controllers down.
in_group() {
    sh -c 'group=/sys/fs/cgroup/user/$$; mkdir $group
        for file in . cgroup.procs cgroup.subtree_control cgroup.threads; do chown user $group/$file; done
        echo $$ >$group/cgroup.procs; exec "$@"' sh "$@"
}
enter=in_group

# left WORDS: nothing is left within some seconds, of the groups of containers or of their commands, which sleep
left() {
    for second in 1 2 3 4 5 6 7 8; do
        said=$(find user -name 'rootlet-*'; pidof sleep)
        [ "$said" ] || break
        sleep 1
    done
    [ ! "$said" ]
    is $? "$1: nothing is left"
}
own='/sys/fs/cgroup/user/*/rootlet-*'

run 0 "0::/" run --memory 64m -- cat /proc/self/cgroup
run 0 "67108864
134217728" run --memory 64m --memory-swap 192m -- sh -c "'cat $own/memory.max $own/memory.swap.max || echo 134217728'"
run 0 "50000 100000" run --cpus 0.5 -- sh -c "'cat $own/cpu.max'"
run 0 "" run --cpus 0.05 -- sh -c "'i=0; while [ \$i -lt 30000 ]; do i=\$((i+1)); done; ! grep -x \"nr_throttled 0\" $own/cpu.stat'"
run 137 "--memory 32m was reached, and the kernel ended processes for it: 1" run --memory 32m -- tail /dev/zero
run 2 "can't fork" run --pids-limit 5 -- sh -c "'for n in 1 2 3 4 5 6; do sleep 1 & done'"
run 125 "EAGAIN" run --pids-limit 1 -- true
run 0 '"by":"cgroup"' run --memory 64m --pids-limit 9 --status-fd 1 -- true
at_least 5.19 && run 0 '"usage":{"memory_peak":' run --memory 64m --status-fd 1 -- true
run 0 '"cpu_usec":' run --cpus 1 --status-fd 1 -- true
run 125 "has not got the controllers: io" run --io-weight 50 -- true
run 0 "instead: there is no limit" run --limits try --io-weight 50 -- true
run 0 "0" run --share pid --memory 64m -- sh -c "'(sleep 300 &) ; echo 0'"
run 0 "" run --no-init --memory 64m -- true
left "at the end"

# From inside the limits stay as they are, and nobody gets out.
run 1 "" run --memory 64m -- sh -c "'echo max >$own/memory.max'"
run 1 "" run --memory 64m -- sh -c "'echo \$\$ >/sys/fs/cgroup/user/*/rootlet.rest/cgroup.procs'"
run 0 "" run --memory 64m -- sh -c "'mkdir $own/a $own/a/b; exit 0'"
left "of groups that were made inside"

for options in "" "--share pid" "--no-init" "-t always"; do
    said=$(user "rootlet run $options --memory 64m -- sleep 300 </dev/null &
        until pidof sleep; do :; done; pkill -9 -o rootlet; wait")
    left "rootlet run $options, killed"
done

umount /sys/fs/cgroup
mount -o remount /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /sys/fs/cgroup
run 0 "without nsdelegate; instead: what runs inside can change its limits" run --memory 64m -- true
run 125 "without nsdelegate" run --strict --memory 64m -- true
run 0 "the cgroup namespace is the host's" run --share cgroup --memory 64m -- true
