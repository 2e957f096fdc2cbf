# /proc that shows nobody another's processes.
mount -o remount,hidepid=2 /proc
said=$(user "ls -d /proc/1")
[ $? != 0 ]
is $? "process 1 is hidden from the user"
doctor 0
run 0 " 1 " run -- ps
run 0 "" sandbox -- true
