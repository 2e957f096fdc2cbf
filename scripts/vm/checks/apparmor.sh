# Profiles of AppArmor (scripts/vm/apparmor) for rootlet. What Ubuntu adds, kernel.apparmor_restrict_unprivileged_userns, no
# kernel of Debian has.
said=$(ls /proc/sys/kernel)
case $said in *apparmor_restrict_unprivileged_userns*) is 1 "no setting of Ubuntu's: this check has to be made for it" ;; esac

known=3.0
at_least 6.7 && known=4.0
load() { cat "/policies/$known/$1" >/sys/kernel/security/apparmor/.load; }
remove() { printf %s "$1" >/sys/kernel/security/apparmor/.remove; }

load no-mount
hint='hint: a security module refuses it; it calls this process "no-mount (enforce)"'
doctor 2 private-mounts=EACCES:security-module
run 125 "$hint; let no-mount (enforce) make user namespaces and mounts" run -- true
remove no-mount

said=$(user "rootlet doctor --apparmor-profile")
load doctor
is $? "the profile that doctor offers is one for this kernel"
doctor 0
run 0 "" run -- true
remove rootlet

since 6.7 "the rule of AppArmor's about user namespaces"
load no-userns
doctor 2 user=EACCES:security-module
run 125 'it calls this process "no-userns (enforce)"' run -- true
