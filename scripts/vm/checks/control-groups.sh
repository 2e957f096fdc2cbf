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
