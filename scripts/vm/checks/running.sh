# Containers that run, in control groups of their own: what is executed in them counts too, and the freezer pauses all of it.
mkdir -p /sys/fs/cgroup
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
cd /sys/fs/cgroup
echo "+cpu +memory +pids" >cgroup.subtree_control
mkdir -p user/shell
echo "+cpu +memory +pids" >user/cgroup.subtree_control
for file in . cgroup.procs cgroup.subtree_control cgroup.threads; do chown user user/shell/$file; done
in_group() {
    sh -c 'cd /sys/fs/cgroup/user/shell; rest=rootlet.rest; [ -d $rest ] || rest=.; echo $$ >$rest/cgroup.procs; exec "$@"' sh "$@"
}
enter=in_group
own='/sys/fs/cgroup/user/shell/rootlet-*'

# holds WORDS VALUE
holds() {
    [ "$said" = "$2" ]
    is $? "$1"
}

run 0 "box" run -d --name box --memory 64m --pids-limit 20 -- sleep 300
run 0 "0::/" exec box -- cat /proc/self/cgroup
run 0 "" exec box -- sh -c "'grep -x \$\$ $own/cgroup.procs'"
run 0 "can't fork" exec box -- sh -c "'for n in \$(seq 30); do sleep 1 & done'; true"
run 137 "" exec box -- tail /dev/zero
run 0 '"state": "running"' inspect --json box
run 0 "box" pause box
said=$(cat $own/cgroup.freeze)
holds "the group is frozen" 1
run 0 "paused" ps
run 125 "is paused" exec box -- true
run 0 "box" resume box
said=$(cat $own/cgroup.freeze)
holds "the group is not frozen any more" 0
run 0 "box" pause box
run 0 "box" kill box
for second in 1 2 3 4 5; do
    said=$(echo $own; pidof sleep)
    [ "$said" = "$own" ] && break
    sleep 1
done
holds "nothing is left of a container that was killed while it was paused" "$own"

# A caller from whom the group is out of reach gets no command outside of it.
run 0 "box" run -d --name box2 --memory 64m -- sleep 300
enter=
run 125 "counts towards its limits" exec box2 -- true
enter=in_group
run 0 "box2" stop --time 0 box2
