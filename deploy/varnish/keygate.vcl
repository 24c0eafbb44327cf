# Keygate's purges, received by Varnish (tried with 7.1; needs varnish-modules for xkey).
#
# Include it from your own VCL after your backends; README.md beside this file says how. Varnish joins subroutines
# of the same name in the order they stand, so what you write before the include runs before it.
#
# The protocol. All of it is method PURGE, from an address in `acl keygate_purgers`:
#
#   PURGE /                 Keygate-Purge-Keys: shop.example/red shop.example/blue
#                           every object with one of these entries
#   PURGE /a//b?c=1         Host: shop.example
#                           this URL, all its variants
#   ... with                Fastly-Soft-Purge: 1
#                           make stale instead of removing
#
# The answer is 200 with `Keygate-Purged: <number of objects, or "unknown">`. An answer without that header did not
# come from here.
#
# The index. An object of host H gets the entry `H/` (purge_all is a purge of that one), and `H/key` for each key in
# the origin's Surrogate-Key. The host in front keeps two services on one Varnish apart. In a key, `%` is written %25
# and `,` is written %2C, because xkey takes a comma for the start of the next entry, which could be another host's.

import purge;
import std;
import xkey;

include "./keygate-purgers.vcl";

sub vcl_recv {
    unset req.http.Keygate-Purged;
    call keygate_name_host;
    if (req.method == "PURGE") {
        call keygate_purge;
    }
    if (req.http.Keygate-Purge-Keys) {
        return (synth(403, "Purging is done with PURGE"));
    }
}

# One spelling of a host: lower case, no port, no dot at the end. A host that is not made of a host name's characters
# is refused, because it becomes part of an index entry. Keygate-Host keeps the name for keygate_index, which runs
# after you may have changed bereq.http.Host; the origin sees it and may ignore it.
sub keygate_name_host {
    unset req.http.Keygate-Host;
    if (req.http.Host) {
        set req.http.Host = regsub(regsub(std.tolower(req.http.Host), ":[0-9]*$", ""), "\.$", "");
        if (req.http.Host !~ "^([a-z0-9._-]+|\[[0-9a-f:.]+\])$") {
            return (synth(400, "Bad Host"));
        }
        set req.http.Keygate-Host = req.http.Host;
    }
}

# Varnish has put the address of its peer at the end of X-Forwarded-For. If anything else is in there, a proxy on this
# machine passed on a stranger's request, and the address that the ACL sees is the proxy's.
sub keygate_purge {
    if (client.ip !~ keygate_purgers || req.http.X-Forwarded-For != "" + client.ip) {
        return (synth(403, "Not a purger"));
    }
    if (req.http.Keygate-Purge-Keys) {
        if (req.http.Fastly-Soft-Purge == "1") {
            set req.http.Keygate-Purged = xkey.softpurge(req.http.Keygate-Purge-Keys);
        } else {
            set req.http.Keygate-Purged = xkey.purge(req.http.Keygate-Purge-Keys);
        }
        return (synth(200, "Purged"));
    }
    if (req.restarts > 0) {
        set req.http.Keygate-Purged = "unknown";
        return (purge);
    }
    # Look the URL up, to purge it where it is found or missed. Do not queue behind a fetch of the same URL.
    set req.hash_ignore_busy = true;
    return (hash);
}

sub keygate_purge_url {
    if (req.http.Fastly-Soft-Purge == "1") {
        set req.http.Keygate-Purged = purge.soft();
    } else {
        set req.http.Keygate-Purged = purge.hard();
    }
    return (synth(200, "Purged"));
}

sub vcl_hit {
    if (req.method == "PURGE") {
        call keygate_purge_url;
    }
}

# A miss is only the miss of one variant; others of the same URL may be there.
sub vcl_miss {
    if (req.method == "PURGE") {
        call keygate_purge_url;
    }
}

# The URL is marked hit-for-pass. Nothing can be purged from here, so go round again and purge it hard, uncounted.
sub vcl_pass {
    if (req.method == "PURGE") {
        return (restart);
    }
}

sub vcl_synth {
    if (req.method == "PURGE") {
        if (resp.status == 200) {
            set resp.http.Keygate-Purged = req.http.Keygate-Purged;
        }
        set resp.http.Content-Type = "text/plain";
        set resp.body = resp.reason + " " + resp.http.Keygate-Purged + {"
"};
        return (deliver);
    }
}

sub vcl_backend_response {
    call keygate_index;
}

sub vcl_backend_error {
    call keygate_index;
}

# Surrogate-Key itself stays on the object: a 304 that does not repeat it inherits it, and the index is made from it
# again.
sub keygate_index {
    std.collect(beresp.http.Surrogate-Key, " ");
    set beresp.http.xkey = bereq.http.Keygate-Host + "/ " + regsuball(
        regsuball(regsuball(beresp.http.Surrogate-Key, "%", "%25"), ",", "%2C"),
        "[^ \t]+",
        bereq.http.Keygate-Host + "/\0");
    unset beresp.http.X-HashTwo;
}

sub vcl_deliver {
    unset resp.http.Surrogate-Key;
    unset resp.http.xkey;
}
