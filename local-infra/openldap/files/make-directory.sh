# Makes the directory anew from what is mounted: it holds nothing of its own. What was there before is from a pod that
# was stopped and started again.
set -eu
umask 077
hashes=/run/slapd/hashes
rm -rf /var/lib/slapd/* "$hashes"
mkdir "$hashes"
for file in /etc/passwords/*; do
  /usr/sbin/slappasswd -n -o module-path=/usr/lib/ldap -o module-load=argon2 -h '{ARGON2}' -T "$file" \
    >"$hashes/${file##*/}"
done
printf 'rootpw %s\n' "$(cat "$hashes/config")" >/run/slapd/config-password.conf
/usr/sbin/slapadd -q -f /etc/pgaas/slapd.conf -n 1 -l /etc/pgaas/directory.ldif
rm -rf "$hashes"
