# With a certificate the ports speak TLS and HTTP/2, and a renewed one is taken up without a stop.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Clients;
use Registry::Tools;
use Test::More;

BEGIN { need('openssl', 'curl') }

my $tmp = tempdir();
my ($cert, $key) = make_certificate($tmp, 'registry', 1001);
chmod 0600, $key;

# The status and the protocol's version that curl sees.
sub answer ($port, $path, @more) {
    my $ran = curl('--cacert', $cert, '-o', '/dev/null', '-w', '%{http_code} %{http_version}', @more,
        "https://127.0.0.1:$port$path");
    return $ran->{exit} ? "curl $ran->{exit}: $ran->{err}" : $ran->{out};
}

subtest 'every port' => sub {
    my $registry = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key ]);
    my $port     = $registry->port;
    is(answer($port, '/v2/', '--http1.1'), '200 1.1', 'HTTP/1.1');
    is(answer($port, '/v2/', '--http2'),   '200 2',   'HTTP/2');
    is_status($registry->get('/v2/'), 400, 'plain HTTP is told that it is wrong', 'Content-Type' => qr{^application/json});

    my $bytes = cheap_bytes(5_000_000);
    spew("$tmp/blob", $bytes);
    my $digest = digest($bytes);
    for my $version ('--http1.1', '--http2') {
        my $name = 'team/' . $version =~ tr/a-z0-9//cdr;
        my $base = "https://127.0.0.1:$port";
        my $begun = curl($version, '--cacert', $cert, '-i', '-X', 'POST', '-H', 'Content-Length: 0',
            "$base/v2/$name/blobs/uploads/");
        my ($place) = $begun->{out} =~ /^location: (\S+)/mi;
        like($place // '', qr{^/v2/}, "$version: an upload begins");
        my $patch = answer($port, $place, $version, '-X', 'PATCH', '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:',
            '--data-binary', "\@$tmp/blob");
        like($patch, qr/^202 /, '... PATCH');
        my $put = answer($port, "$place?digest=$digest", $version, '-X', 'PUT', '-H', 'Content-Length: 0');
        like($put, qr/^201 /, '... PUT');
        my $got = curl($version, '--cacert', $cert, '-o', "$tmp/got", "$base/v2/$name/blobs/$digest");
        is($got->{exit}, 0, '... GET');
        is(file_digest("$tmp/got"), $digest, '... the same bytes');
    }
    is_tidy($registry);
};

# The suite that a handshake with these options ends with, or '' when it fails.
sub suite ($port, @options) {
    my $ran = run([ 'openssl', 's_client', '-connect', "127.0.0.1:$port", @options ]);
    return $ran->{out} =~ /^New, TLSv1\.\d, Cipher is (\S+)$/m && $1 ne '(NONE)' ? $1 : '';
}

subtest 'modern suites alone' => sub {
    my $registry = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key ]);
    my $port     = $registry->port;
    like(suite($port), qr/^TLS_(AES|CHACHA20)_/, 'TLS 1.3');
    is(suite($port, '-tls1_2', '-cipher', $_), $_, $_)
        for qw(ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305);
    is(suite($port, '-tls1_2', '-cipher', "$_:\@SECLEVEL=0"), '', "not $_")
        for qw(AES128-SHA AES128-GCM-SHA256 AES256-SHA256 ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA384 DHE-RSA-AES128-GCM-SHA256 CAMELLIA128-SHA);
    is(suite($port, $_, '-cipher', 'ALL:@SECLEVEL=0'), '', "not $_") for '-tls1', '-tls1_1';
};

subtest 'one port of two' => sub {
    my $registry = Registry->start(listeners => 2,
        args => [ '--tls-port', '0', '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret' ]);
    my ($tls)   = grep { serial_at($_) } $registry->ports;
    my ($plain) = grep { $_ != ($tls // 0) } $registry->ports;
    ok($tls && $plain, 'one speaks TLS, the other does not') or return;
    is_status($registry->with(port => $plain)->get('/v2/'), 401, 'plain HTTP is as before');
    is(answer($tls, '/v2/'),                        '401 2', 'a password is needed over TLS');
    is(answer($tls, '/v2/', '-u', 'ann:secret'),    '200 2', '... the right one');
    is(answer($tls, '/v2/', '-u', 'ann:wrong'),     '401 2', '... and no other');
    is(answer($tls, '/v2/a/b/blobs/uploads/', '-X', 'POST', '-d', ''), '401 2', '... for an upload');

    is(serial_at($tls), 1001, 'the first certificate');
    make_certificate($tmp, 'registry', 1002);
    chmod 0600, $key;
    my @before = $registry->children('worker');
    kill 'HUP', $registry->pid;
    ok(wait_for(10, sub { serial_at($tls) == 1002 }), 'SIGHUP: the renewed certificate');
    is(answer($tls, '/v2/', '-u', 'ann:secret'), '200 2', '... the registry goes on');
    ok($registry->running, '... and runs');
};

subtest 'certificates that cannot be used' => sub {
    spew("$tmp/bad.crt", "hello\n");
    for my $pair ([ "$tmp/none.crt", $key ], [ "$tmp/bad.crt", $key ], [ $cert, "$tmp/bad.crt" ]) {
        my $ran = Registry->try([
            '--listen', '127.0.0.1', '--port', '0', '--dir', tempdir() . '/data', '--tls-cert', $pair->[0], '--tls-key',
            $pair->[1],
        ]);
        my ($bad) = grep { m{/(?:none|bad)} } @$pair;
        ok(!$ran->{timed_out}, "$bad: it ends");
        like($ran->{exit}, qr/^[12]$/, '... with an error');
        like($ran->{err}, qr/\Q$bad\E/, '... that names the file');
        unlike($ran->{out}, qr/listening/, '... and was never ready');
    }
};

subtest 'a renewal that is half done' => sub {
    my ($other, $other_key) = make_certificate($tmp, 'other', 7);
    my $ran = Registry->try([
        '--listen', '127.0.0.1', '--port', '0', '--dir', tempdir() . '/data', '--tls-cert', $other, '--tls-key', $key,
    ]);
    is($ran->{exit}, 1, 'a key of another certificate is refused at the start');
    like($ran->{err}, qr/doesn't belong to the certificate/, '... with the reason');

    my ($new, $new_key) = ("$tmp/half.crt", "$tmp/half.key");
    spew($new, slurp($cert));
    spew($new_key, slurp($key));
    my $server = Registry->start(args => [ '--tls-cert', $new, '--tls-key', $new_key ], expected => qr/stay as they were|nginx died/);
    my $before = slurp($server->dir . '/run/tls.crt');
    spew($new, slurp($other));
    kill 'HUP', $server->pid;
    ok(wait_for(10, sub { $server->logged(qr/certificate and key stay as they were/) }), 'SIGHUP in the middle of it is told');
    is(slurp($server->dir . '/run/tls.crt'), $before, '... and the old pair stays');
    kill 'KILL', $server->nginx_master;
    ok(wait_for(10, sub { ($server->nginx_master)[0] && serial_at($server->port) }), 'nginx can still be started anew');
    $server->stop;
};

# Old clients try HTTPS first, wherever they are sent; while nobody answers, they don't get to plain HTTP.
subtest 'TLS on a plain port' => sub {
    my $plain = Registry->start;
    my $hello = pack('CnnCCn', 22, 0x0301, 512, 1, 0, 508) . pack('n', 0x0303) . random_bytes(506);
    for my $n (length $hello, 1, 5, 50) {
        my $connection = $plain->connect;
        $connection->send(substr $hello, 0, $n);
        ok($connection->answers_within(5), "$n bytes of a ClientHello are not waited for");
        my $answer = $connection->response;
        ok($answer->status == 400 || $answer->content =~ /^connection closed/, '... but answered with 400, or hung up on') or diag($answer->describe);
        $connection->close;
    }
    my $ran = run([ 'openssl', 's_client', '-connect', '127.0.0.1:' . $plain->port ], timeout => 10);
    ok(!$ran->{timed_out} && $ran->{exit}, 'openssl gives up at once');
    is_status($plain->get('/v1/_ping'), 200, 'and plain HTTP works');
    $plain->stop;
};

subtest 'plain HTTP on a TLS port' => sub {
    my $registry = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key ]);
    is_v1_error(my $told = $registry->get('/v1/_ping'), 400, 'the first API');
    like($told->json->{error}, qr/https/i, '... says what is wrong');
    is_error($registry->get('/v2/'), 400, qr/./, 'the second');
    is_status($registry->raw("G\r\n\r\n"), 400, 'what is no request');
    my $connection = $registry->connect;
    $connection->send('GET /v1/_ping HTTP/1.0');
    $connection->close;
    is(answer($registry->port, '/v1/_ping'), '200 2', 'and TLS works');
    $registry->stop;
};

# The last days of a certificate are told at the start and at each SIGHUP (and each day).
subtest 'a certificate that expires' => sub {
    my ($new, $new_key) = make_certificate($tmp, 'old');
    my $valid_for = sub ($days) {
        is(run([ 'openssl', 'x509', '-in', $new, '-signkey', $new_key, '-days', $days, '-out', "$tmp/again.crt" ])->{exit}, 0, "one for $days days");
        rename "$tmp/again.crt", $new;
    };
    my $told   = sub ($server) { return join ' ', map { /msg="the certificate ([^"]*)" file=\Q$new\E until=\d{4}-\S+Z$/ ? $1 : () } $server->logged(qr/level=warn/) };
    $valid_for->(0);
    my $server = Registry->start(args => [ '--tls-cert', $new, '--tls-key', $new_key ]);
    ok(wait_for(5, sub { $told->($server) eq 'has expired' }), 'that it has expired is told at the start') or diag($server->log);
    $valid_for->(29);
    kill 'HUP', $server->pid;
    ok(wait_for(5, sub { $told->($server) eq 'has expired expires soon' }), 'a month before is soon') or diag($server->log);
    $valid_for->(31);
    kill 'HUP', $server->pid;
    ok(wait_for(5, sub { $server->logged(qr/users read again/) == 2 }), 'one that is valid for longer');
    $server->stop;
    is($told->($server), 'has expired expires soon', '... is not worth a line');

    # one certificate of the chain is enough
    $valid_for->(5);
    my ($chain) = (spew("$tmp/chain.crt", slurp($cert) . slurp($new)));
    $server = Registry->start(args => [ '--tls-cert', $chain, '--tls-key', $key ]);
    ok(wait_for(5, sub { $server->logged(qr/the certificate expires soon/) }), 'that one of the chain expires is told');
    $server->stop;
};

finish();
