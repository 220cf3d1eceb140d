# Behind Caddy and HAProxy: the recipes of docker-registry-server-proxy(7), line by line. A trusted proxy tells the address of the
# client and its scheme; of others the same headers change nothing.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Clients;
use Registry::Curl;
use Registry::Layers;
use Registry::Manual;
use Registry::Nginx;
use Registry::Process;
use Registry::Recipe;
use Registry::Tools;
use Test::More;

BEGIN { need('curl', 'openssl', 'caddy', 'haproxy') }

my $tmp = tempdir();
my ($cert, $key) = make_certificate($tmp, 'registry');
my $pem = spew("$tmp/registry.pem", slurp($cert) . slurp($key));

# ---- what a client sees ----

# Status, headers and body of a request that comes from an address of this machine.
sub ask ($from, $url, @args) {
    my $ran = curl('--insecure', '--include', '--interface', $from, @args, $url);
    my ($status) = $ran->{out} =~ m{\A(?:HTTP/\S+ 200 Connection established\r\n\r\n)?HTTP/\S+ (\d+)};
    return { status => $status // "none: $ran->{err}", text => $ran->{out} };
}
sub realm_of ($answer) { return $answer->{text} =~ /^www-authenticate: Bearer realm="([^"]+)"/mi ? $1 : $answer->{text} }

# The address that the registry's log has for a wrong password.
sub address_of ($log, $user) { return wait_for(10, sub { slurp($log) =~ /wrong password.*user=$user address=(\S+)/ ? $1 : undef }) }

# A push and a pull by a real client, through the proxy.
sub is_usable ($at) {
    my $tls = Registry::Curl->new("https://$at", '--insecure', '--user', 'ann:secret');
    my $blob = random_bytes(3_000_000);
    my $begun = $tls->post('/v2/a/b/blobs/uploads/');
    is_status($begun, 202, 'a push begins');
    my $place = $begun->header('Location');
    like($place, qr{^/v2/}, '... with a relative Location');
    is_status($tls->put($place . ($place =~ /\?/ ? '&' : '?') . 'digest=' . digest($blob), body => $blob), 201, '... and ends');
    ok($tls->get('/v2/a/b/blobs/' . digest($blob))->content eq $blob, 'a pull');
    SKIP: {
        skip 'skopeo is not installed', 2 if !find_program('skopeo');
        my $oci = "$tmp/oci";
        make_oci_layout($oci) if !-d $oci;
        works(skopeo('copy', '--quiet', '--dest-tls-verify=false', '--dest-creds', 'ann:secret', "oci:$oci:v1", "docker://$at/a/c:v1"), 'skopeo pushes, with a token');
        works(skopeo('copy', '--quiet', '--src-tls-verify=false', '--src-creds', 'ann:secret', "docker://$at/a/c:v1", "oci:$tmp/" . ($at =~ s/\W/-/gr) . ':v1'), '... and pulls');
    }
    return;
}

sub make_oci_layout ($dir) {
    mkdir $_ for $dir, "$dir/blobs", "$dir/blobs/sha256";
    my $layer  = gzip_layer(tar_of('f file x'));
    my $config = json_of({ architecture => 'amd64', os => 'linux', rootfs => { type => 'layers', diff_ids => [ digest(tar_of('f file x')) ] } });
    my $part   = sub ($type, $bytes) { spew("$dir/blobs/sha256/" . (digest($bytes) =~ s/.*://r), $bytes); return { mediaType => "application/vnd.oci.image.$type", digest => digest($bytes), size => length $bytes } };
    my $manifest = json_of({ schemaVersion => 2, mediaType => 'application/vnd.oci.image.manifest.v1+json', config => $part->('config.v1+json', $config), layers => [ $part->('layer.v1.tar+gzip', $layer) ] });
    my $entry = $part->('manifest.v1+json', $manifest);
    $entry->{annotations} = { 'org.opencontainers.image.ref.name' => 'v1' };
    spew("$dir/index.json", json_of({ schemaVersion => 2, manifests => [$entry] }));
    spew("$dir/oci-layout", json_of({ imageLayoutVersion => '1.0.0' }));
    return;
}

# ---- the recipes ----

# Debian with both proxies: their configurations as far as they matter, and a systemctl that starts them.
sub make_machine ($root) {
    mkdir $_ for $root, map { "$root/$_" } qw(bin etc etc/caddy etc/haproxy etc/ssl run caddy);
    my $admin = free_port();
    spew("$root/etc/caddy/Caddyfile", <<~"END");
        {
            admin 127.0.0.1:$admin
            auto_https disable_redirects
            skip_install_trust
            default_bind 127.0.0.1
            storage file_system $root/caddy
        }
        END
    spew("$root/etc/haproxy/haproxy.cfg", <<~"END");
        global
            daemon
        defaults
            mode http
            timeout connect 5000
            timeout client  50000
            timeout server  50000
        END
    symlink Registry->program, "$root/bin/docker-registry-server";
    my ($caddy, $haproxy) = map { find_program($_) } 'caddy', 'haproxy';
    spew("$root/bin/systemctl", <<~"END");
        #!/bin/sh
        case "\$*" in
            "reload caddy") HOME=$root/caddy exec $caddy start --config $root/etc/caddy/Caddyfile --pidfile $root/run/caddy.pid </dev/null >$root/caddy.log 2>&1 ;;
            "reload haproxy") exec $haproxy -D -f $root/etc/haproxy/haproxy.cfg -p $root/run/haproxy.pid </dev/null >$root/haproxy.log 2>&1 ;;
        esac
        exit 1
        END
    chmod 0755, "$root/bin/systemctl";
    return;
}

my @left;
END { local $?; kill 'TERM', map { slurp($_) =~ /(\d+)/ ? $1 : () } @left if @left }

# Runs THE REGISTRY and what follows; the log of the registry. Values are those of the first lines of each part.
sub machine_with ($root, $values, @lines) {
    make_machine($root);
    push @left, map { "$root/$_" } 'run/caddy.pid', 'run/haproxy.pid', 'data/run/master.pid';
    my ($changed, @all) = adapt_recipe({ data => "$root/data", etc => "$root/etc", %$values }, @lines);
    $changed += s/(?<![\w-])(listen|pem|cert|key)=\S+/exists $values->{$1} ? "$1=$values->{$1}" : $&/ge for grep { /^(?:listen|cert)=/ } @all;
    my $ran = run([ 'sh', '-eu', '-c', '. ./recipe 2>log' ], env => { PATH => "$root/bin:$ENV{PATH}" }, cwd => $root, timeout => 60,
        stdin => '') if spew("$root/recipe", join "\n", @all, '');
    works($ran, 'its commands') or diag(slurp("$root/log"), slurp("$root/caddy.log"), slurp("$root/haproxy.log"));
    return "$root/log";
}

sub is_over ($root, $proxy) {
    my @pids = map { slurp($_) =~ /(\d+)/ ? $1 : () } "$root/run/$proxy.pid", "$root/data/run/master.pid";
    is(scalar @pids, 2, 'both run');
    kill 'TERM', @pids;
    ok(wait_for(20, sub { !grep { alive($_) } @pids }), '... and stop');
    unlike(slurp("$root/log"), qr/level=error|Sanitizer/, 'no error was logged');
    return;
}

my @registry = manual_examples('proxy.7', 'THE REGISTRY');
sub own_port ($root) { return slurp("$root/etc/docker-registry-server.conf") =~ /^port = (\d+)/m ? $1 : 0 }

# A proxy that ends TLS, and tells by headers.
sub is_believed ($root, $log, $at) {
    ok(wait_for(30, sub { ask('127.0.0.9', "https://$at/healthz")->{status} eq '200' }), 'the registry answers through the proxy') or diag(slurp("$root/caddy.log"), slurp("$root/haproxy.log"), slurp($log));
    is(realm_of(ask('127.0.0.9', "https://$at/v2/")), "https://$at/v2/_token", 'tokens are at https');
    is_usable($at);
    ask('127.0.0.9', "https://$at/v2/", '--user', 'bob:x', '--header', 'X-Forwarded-For: 198.51.100.7', '--header', 'X-Forwarded-Proto: http');
    is(address_of($log, 'bob'), '127.0.0.9', 'the log has the client\'s address, and not what it claims');
    my $own = 'http://127.0.0.1:' . own_port($root);
    ask('127.0.0.8', "$own/v2/", '--user', 'eve:x', '--header', 'X-Forwarded-For: 198.51.100.7');
    is(address_of($log, 'eve'), '127.0.0.8', 'who comes past the proxy has no other address by the header');
    is(realm_of(ask('127.0.0.8', "$own/v2/", '--header', 'X-Forwarded-Proto: https')), "$own/v2/_token", '... and no other scheme');
    is(ask('127.0.0.9', "https://$at/metrics")->{status}, 403 , 'the clients of the proxy may not read /metrics') if $at !~ /localhost/;
    return;
}

subtest 'Caddy' => sub {
    my $root = "$tmp/with-caddy";
    my ($port, $own) = (free_port(), free_port());
    my $log = machine_with($root, { name => "localhost:$port", port => $own }, @registry, manual_examples('proxy.7', 'CADDY'));
    is_believed($root, $log, "localhost:$port");
    is_over($root, 'caddy');
};

subtest 'HAProxy' => sub {
    my $root = "$tmp/with-haproxy";
    my ($port, $own) = (free_port(), free_port());
    my $log = machine_with($root, { name => 'localhost', port => $own, listen => "127.0.0.1:$port", pem => $pem }, @registry, manual_examples('proxy.7', 'HAPROXY'));
    is_believed($root, $log, "localhost:$port");

    # The test that the page ends with.
    my @lines = manual_examples('proxy.7', 'A TEST');
    my $ran = run([ 'sh', '-eu' ], stdin => join("\n", "name=localhost:$port CURL_CA_BUNDLE=$cert", 'export CURL_CA_BUNDLE', map { s/curl /curl --insecure /r } @lines, ''));
    works($ran, 'the manual\'s own test');
    like($ran->{out}, qr/^\{\}\s*\{"errors"/, '... prints {} and an error');
    is_over($root, 'haproxy');
};

subtest 'the PROXY protocol' => sub {
    my $root = "$tmp/with-protocol";
    my ($port, $own) = (free_port(), free_port());
    my $log = machine_with($root, { name => 'localhost', port => $own, listen => "127.0.0.1:$port", cert => $cert, key => $key }, @registry, manual_examples('proxy.7', 'PROXY PROTOCOL'));
    my $at = "localhost:$port";
    ok(wait_for(30, sub { ask('127.0.0.9', "https://$at/healthz")->{status} eq '200' }), 'the registry answers through the load balancer') or diag(slurp("$root/haproxy.log"), slurp($log));
    is(realm_of(ask('127.0.0.9', "https://$at/v2/", '--header', 'X-Forwarded-Proto: http')), "https://$at/v2/_token", 'tokens are at https');
    is_usable($at);
    ask('127.0.0.9', "https://$at/v2/", '--user', 'bob:x', '--header', 'X-Forwarded-For: 198.51.100.7');
    is(address_of($log, 'bob'), '127.0.0.9', 'the log has the client\'s address, and no header changes it');
    my $none = ask('127.0.0.1', "https://127.0.0.1:$own/v2/");
    like($none->{status}, qr/^none/, 'a connection without the protocol is closed');
    is_over($root, 'haproxy');
};

# ---- who is believed ----

my @USER = ('--user', 'ann:secret');

sub forged ($from, $port, $user, @args) { return ask($from, "http://127.0.0.1:$port/v2/", '--user', "$user:x", @args) }
sub logged_address ($registry, $user) {
    return wait_for(10, sub { ($registry->logged(qr/wrong password/))[0] && join ' ', map { /user=$user address=(\S+)/ ? $1 : () } $registry->logged(qr/wrong password.*user=$user /) });
}

subtest 'addresses' => sub {
    my $registry = Registry->start(args => [ @USER, '--trusted-proxy', '127.0.0.2', '--trusted-proxy', '127.0.0.16/28', '--max-wrong-passwords', 3 ], expected => qr/wrong password/);
    my $port     = $registry->port;
    my $n        = 0;
    for my $case (
        [ '127.0.0.2',  '203.0.113.5',                       '203.0.113.5',  'of a trusted proxy the header counts' ],
        [ '127.0.0.17', '203.0.113.6',                       '203.0.113.6',  '... also of one by its network' ],
        [ '127.0.0.3',  '203.0.113.7',                       '127.0.0.3',    '... of no other' ],
        [ '127.0.0.32', '203.0.113.7',                       '127.0.0.32',   '... beside the network' ],
        [ '127.0.0.2',  '198.51.100.1, 203.0.113.8',         '203.0.113.8',  'the last one counts' ],
        [ '127.0.0.2',  '203.0.113.9, 127.0.0.20',           '203.0.113.9',  '... that is no trusted proxy itself' ],
        [ '127.0.0.2',  '2001:db8::7',                       '2001:db8::7',  'IPv6' ],
        [ '127.0.0.2',  'nonsense',                          '127.0.0.2',    'what is no address changes nothing' ],
    ) {
        my ($from, $header, $address, $name) = @$case;
        my $user = 'u' . ++$n;
        forged($from, $port, $user, '--header', "X-Forwarded-For: $header");
        is(logged_address($registry, $user), $address, $name);
    }
    # Limits of an address: the fourth wrong password bars it, and not others behind the same proxy.
    my @status = map { forged('127.0.0.2', $port, 'mallory', '--header', 'X-Forwarded-For: 192.0.2.1')->{status} } 1 .. 4;
    ok(wait_for(10, sub { forged('127.0.0.2', $port, 'mallory', '--header', 'X-Forwarded-For: 192.0.2.1')->{status} eq '429' }), 'the address is barred') or diag("@status");
    is(forged('127.0.0.2', $port, 'other', '--header', 'X-Forwarded-For: 192.0.2.2')->{status}, 401, '... and no other behind that proxy');
    is(forged('127.0.0.3', $port, 'eve', '--header', 'X-Forwarded-For: 192.0.2.1')->{status}, 401, '... nor who claims to be it');
};

subtest 'the scheme' => sub {
    my $realm = sub ($registry, $from, $proto = 'https') { realm_of(ask($from, 'http://127.0.0.1:' . $registry->port . '/v2/', '--header', "X-Forwarded-Proto: $proto")) =~ s{://.*}{}r };
    my $registry = Registry->start(args => [ @USER, '--trusted-proxy', '127.0.0.2' ]);
    is($realm->($registry, '127.0.0.2'), 'https', 'a trusted proxy may say https');
    is($realm->($registry, '127.0.0.2', 'gopher'), 'http', '... and nothing else');
    is($realm->($registry, '127.0.0.1'), 'http', 'others may not, this machine included');
    my $nobody = Registry->start(args => [ @USER, '--trusted-proxy', 'none' ]);
    is($realm->($nobody, '127.0.0.1'), 'http', '--trusted-proxy none');

    my $other = Registry->start(dir => "$tmp/dir", fastcgi => "$tmp/s", args => [@USER]);
    my $site  = sub (@more) {
        my @options = ('--dir', "$tmp/dir", '--fastcgi', "$tmp/s", @more);
        my $nginx = Registry::Nginx->start(
            files  => { map { ("$_.conf" => Registry->try([ 'print-nginx-conf', "--$_", @options ])->{out}) } 'http', 'server' },
            http   => 'include http.conf;', server => 'include server.conf;');
        ok($nginx, "a site with @more") or diag(Registry::Nginx->last_words);
        return $nginx->client;
    };
    my $one = $site->('--trusted-proxy', '127.0.0.2');
    is($realm->($one, '127.0.0.2'), 'https', 'a trusted proxy before an existing nginx');
    is($realm->($one, '127.0.0.1'), 'http', '... and no other');
};

subtest 'the PROXY protocol, of whom' => sub {
    my $registry = Registry->start(args => [ @USER, '--trusted-proxy', '127.0.0.2', '--proxy-protocol' ], expected => qr/broken header/);
    my $ask = sub ($from, $user, $line) {
        my $socket = IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $registry->port, LocalAddr => $from) or die;
        my $basic = MIME::Base64::encode_base64("$user:x", '');
        print {$socket} "${line}GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\nAuthorization: Basic $basic\r\n\r\n";
        local $/;
        return scalar(<$socket>) // '';
    };
    like($ask->('127.0.0.2', 'ann', "PROXY TCP4 203.0.113.5 127.0.0.1 1000 443\r\n"), qr/^HTTP\S+ 401/, 'the load balancer');
    is(logged_address($registry, 'ann'), '203.0.113.5', '... tells the address');
    $ask->('127.0.0.3', 'eve', "PROXY TCP4 203.0.113.5 127.0.0.1 1000 443\r\n");
    is(logged_address($registry, 'eve'), '127.0.0.3', 'another one does not');
    is($ask->('127.0.0.2', 'bob', ''), '', 'without the protocol there is no answer');
};

subtest 'what is refused' => sub {
    for my $case ([ [ '--proxy-protocol' ], qr/give --trusted-proxy/ ], [ [ '--trusted-proxy', '1.2.3' ], qr/trusted-proxy/ ], [ [ '--proxy-protocol', '--trusted-proxy', '::1', '--fastcgi', "$tmp/x" ], qr/can't be combined/ ]) {
        my ($args, $pattern) = @$case;
        my $ran = Registry->try([ '--dir', "$tmp/never", @$args ]);
        is($ran->{exit}, 2, "@$args");
        like($ran->{err}, $pattern, '... and why');
    }
};

finish();
