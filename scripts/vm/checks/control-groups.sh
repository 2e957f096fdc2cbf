# Control groups: not mounted, root's, and a part given to the user (as systemd does with Delegate=yes).
run 0 "no cgroup2 file system is mounted" doctor

mkdir -p /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
run 0 "/sys/fs/cgroup is not yours to write" doctor

cd /sys/fs/cgroup
echo "+cpu +memory +pids" >cgroup.subtree_control
mkdir -p user/shell
echo "+cpu +memory +pids" >user/cgroup.subtree_control
for file in . cgroup.procs cgroup.subtree_control cgroup.threads; do chown user user/shell/$file; done
in_group() { sh -c 'echo $$ >/sys/fs/cgroup/user/shell/cgroup.procs; exec "$@"' sh "$@"; }
enter=in_group
doctor 0 cgroups=works
run 0 "cpu memory pids" doctor

# Limits are kept there, by a group of the container's own that is gone at the end. The first launch divides the group.
mount -o remount,nsdelegate /sys/fs/cgroup
in_group() {
    sh -c 'cd /sys/fs/cgroup/user/shell; rest=rootlet.rest; [ -d $rest ] || rest=.; echo $$ >$rest/cgroup.procs; exec "$@"' sh "$@"
}
own='/sys/fs/cgroup/user/shell/rootlet-*'
run 0 "67108864" run --memory 64m -- "sh -c 'cat $own/memory.max'"
run 0 "150000 100000" run --cpus 1.5 -- "sh -c 'cat $own/cpu.max'"
run 0 "can't fork" run --pids-limit 4 -- "sh -c 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait'; true"
run 137 "" run --memory 32m -- dd if=/dev/zero of=/dev/null bs=100M count=1
run 0 '"memory_peak":' run --memory 64m --status-fd 1 -- true
run 125 "no control group for --io-weight: " run --io-weight 50 -- true
said=$(echo $own)
[ "$said" = "$own" ]
is $? "no group is left"
