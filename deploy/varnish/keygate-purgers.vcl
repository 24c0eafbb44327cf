# Who may purge: the machines that run Keygate. Yours to edit; an upgrade replaces keygate.vcl, not this file.
# Add one line per machine or network, for example  "10.0.0.7";  or  "10.1.0.0"/16;
acl keygate_purgers {
    "127.0.0.1";
    "::1";
}
