# Logs: text or JSON, to stderr or syslog; the request's id is in our lines, in nginx's, and in what the client gets; no
# password or token is in any of them.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use IO::Socket::UNIX;
use Socket qw(MSG_DONTWAIT SOCK_DGRAM);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

my $id = qr/[0-9a-f]{32}/;

# A refusal by a worker, and one by nginx itself; their ids.
sub refusals ($registry) {
    my @ids;
    for my $path ('/v2/a/b/manifests/none', '/v2/' . 'x' x 30_000) {
        my $detail = $registry->get($path)->json->{errors}[0]{detail};
        like($detail->{request_id} // '', qr/^$id$/, 'an error names its request');
        push @ids, $detail->{request_id};
    }
    isnt($ids[0], $ids[1], '... each another one');
    return @ids;
}

subtest 'the id of a request' => sub {
    my $registry = Registry->start(args => [ '--log-level', 'debug' ]);
    my ($ours) = refusals($registry);
    ok(wait_for(10, sub { $registry->logged(qr/ msg="request" request=$ours method=GET path=\/v2\/a\/b\/manifests\/none /) }), 'is in the line of the log');
    my $upload = $registry->put('/v2/a/b/blobs/uploads/x?digest=bad')->json->{errors}[0]{detail}{request_id};
    like($upload, qr/^$id$/, 'an upload has one, too');
    is(scalar($registry->logged(qr/ request=(?!$id )/)), 0, 'and no line has half of one');
};

# What somebody may send as a secret, in all places where it can be.
sub send_secrets ($registry) {
    my $c = $registry;
    my %basic = map { $_ => 'Basic ' . encode_base64($_, '') } 'ann:SECRET-right', 'ann:SECRET-wrong', "a\nlevel=error msg=forged:SECRET-wrong", "\xff\"}{\x1b[2J:SECRET-x";
    $c->get('/v2/', headers => { Authorization => $basic{'ann:SECRET-wrong'} });
    $c->get('/v2/', headers => { Authorization => $_ }) for values %basic, 'Bearer SECRET-bearer', 'Token signature=SECRET-token', 'Basic SECRET-broken';
    $c->get("/v2/_token?service=SECRET-service&password=SECRET-q&refresh_token=SECRET-r", headers => { Authorization => $basic{'ann:SECRET-wrong'} });
    $c->get('/v2/a/b/manifests/x?token=SECRET-query');
    $c->get('/v2/' . 'y' x 25_000 . '?token=SECRET-long');
    $c->raw("GET /v2/\x01?token=SECRET\"raw HTTP/1.1\r\nHost: x\r\n\r\n");
    $c->raw("GET /v2/%zz?token=SECRET-bad HTTP/1.1\r\nHost: x?SECRET-host\r\nReferer: http://x/?SECRET-ref\r\nUser-Agent: \x1b[2J\"SECRET-less\r\n\r\n");
    $c->raw("PUT /v2/a/b/manifests/x?token=SECRET-put HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\nReferer: http://x/?SECRET-ref\r\n\r\n", 'PUT');
    $c->post('/v2/_token', headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }, body => 'grant_type=password&password=SECRET-form&refresh_token=SECRET-form');
    return;
}

for my $format ('text', 'json') {
    subtest "secrets and forged lines, as $format" => sub {
        my $registry = Registry->start(args => [ '--user', 'ann:SECRET-right', '--log-format', $format, '--log-level', 'debug' ], expected => qr/forged/);
        send_secrets($registry);
        spew($registry->dir . '/auth/htpasswd', "bad line SECRET-hash\nbob:\$SECRET-hash\n");
        kill 'HUP', $registry->pid;
        ok(wait_for(10, sub { $registry->logged(qr/login|htpasswd|wrong password/) }), 'there is something in the log');
        ok(wait_for(10, sub { $registry->logged(qr/too large body/) }), '... and a line of nginx');
        $registry->stop;
        my $log = $registry->log;
        is_deeply([ $log =~ /^(.*SECRET.*)$/mg ], [], 'no secret');
        unlike($log, qr/[^\n\x20-\x7e]/, 'nothing but printable characters') if $format eq 'text';
        my @lines = split /\n/, $log;
        my @bad   = grep { $format eq 'text' ? !/^time=\S+Z level=\w+ msg="/ : !eval { my $j = decode_json($_); $j->{time} && $j->{level} && defined $j->{msg} } } @lines;
        is_deeply(\@bad, [], 'each line is one');
        is(scalar(grep { /^(?:time=\S+ )?level=error msg=forged/ } @lines), 0, 'none is forged');
        if ($format eq 'json') {
            my ($wrong) = grep { $_->{msg} eq 'wrong password' } map { decode_json($_) } @lines;
            is("$wrong->{user} $wrong->{level} $wrong->{times}", 'ann warn 1', 'members are texts and numbers');
        }
    };
}

for my $format ('text', 'json') {
    subtest "access log, as $format" => sub {
        my $place = tempdir();
        chmod 0777, $place;
        my $registry = Registry->start(args => [ '--user', 'ann:SECRET', '--access-log', "$place/log", '--log-format', $format ]);
        my $ann      = $registry->with(user => 'ann:SECRET');
        my ($config, $manifest) = $ann->push_parts('team/app');
        is_status($ann->put_manifest('team/app', '1.0', $manifest), 201, 'ann pushes');
        my $got = $ann->get('/v2/team/app/manifests/1.0?token=SECRET', headers => { 'User-Agent' => "x\"\\\xff\x{1b}y" });
        is($got->header('X-Registry-User'), undef, 'the answer has no header for the log');
        $registry->with(user => 'bob:SECRET')->get('/v2/team/app/manifests/1.0');
        my $token = $ann->get('/v2/_token?scope=repository:team/app:pull')->json->{token};
        $registry->get('/v2/team/app/tags/list', headers => { Authorization => "Bearer $token" });
        $registry->delete('/v2/team/app/manifests/1.0', headers => { Authorization => "Bearer $token" });
        my $id_of = $registry->get('/v2/')->json->{errors}[0]{detail}{request_id};
        $registry->raw("GET /v2/\xff\x{1b}/" . 'n' x 4000 . " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        ok(wait_for(10, sub { slurp("$place/log") =~ /$id_of/ }), 'an error names its line');
        rename "$place/log", "$place/log.1" or die;
        kill 'HUP', $registry->pid;
        ok(wait_for(10, sub { -e "$place/log" }), 'it is opened anew at SIGHUP');
        $registry->stop;
        my $log = slurp("$place/log.1") . slurp("$place/log");
        unlike($log, qr/SECRET|\Q$token\E/, 'no secret');
        my @lines = split /\n/, $log;
        my $line  = $format eq 'text' ? qr/^time=\S+ request=$id address=127\.0\.0\.1 user="(.*?)" verb=(\w*) repository=(\S*) method=(\S*) path="[^"]*" status=(\d+) sent=(\d+) received=\d+ seconds=[\d.]+ agent="[^"]*"$/ : undef;
        my @seen = map {
            my $j = $format eq 'json' ? decode_json($_) : undef;
            my @f = $j ? @$j{qw(user verb repository method status sent)} : $_ =~ $line;
            is(scalar @f, 6, 'a line has its form') or diag($_);
            pop(@f) > 0 ? join(' ', map { length $_ ? $_ : '-' } @f) : 'sent nothing';
        } @lines;
        my %seen = map { $_ => 1 } @seen;
        ok($seen{$_}, $_) or diag(explain(\@seen)) for 'ann push team/app POST 202', 'ann push team/app PUT 201', 'ann pull team/app GET 200', '- pull team/app GET 401',
            'ann token - GET 200', 'ann delete team/app DELETE 401', '- pull - GET 401';
    };
}

subtest 'logrotate' => sub {
    my $sample = slurp(($ENV{srcdir} // '.') . '/contrib/samples/logrotate-access-log');
    my $place  = tempdir();
    chmod 0755, $place;
    mkdir "$place/log";
    my $user = is_root() ? 'www-data' : getpwuid $<;
    chown scalar(getpwnam $user), -1, "$place/log" if is_root();
    my $registry = Registry->start(args => [ '--access-log', "$place/log/access.log" ]);
    is_status($registry->get('/v2/'), 200, 'a request');
    ok(wait_for(10, sub { -s "$place/log/access.log" }), '... is in the access log');
    # What its reader has to change: directories, the user, and the week.
    is($sample =~ s{/var/log/docker-registry-server/access.log \{}{$place/log/access.log \{}, 1, 'the sample names the log');
    is($sample =~ s{/var/lib/docker-registry-server/}{$registry->dir . '/'}e, 1, '... and the data directory');
    is($sample =~ s{^    su docker-registry docker-registry$}{'    su ' . join ' ', $user, scalar getgrgid((getpwnam $user)[3])}me, 1, '... and the user');
    spew("$place/sample", $sample);
    chmod 0644, "$place/sample";
    if (my $logrotate = find_program('logrotate')) {
        works(run([ $logrotate, '--force', '--state', "$place/state", "$place/sample" ]), 'logrotate');
    } else {
        my ($script) = $sample =~ /^    postrotate\n(.*?)^    endscript/ms;
        rename "$place/log/access.log", "$place/log/access.log.1" or die;
        works(run([ 'sh', '-eu', '-c', $script ]), 'what logrotate runs');
    }
    ok(-s "$place/log/access.log.1", 'the log of before has another name');
    ok(wait_for(10, sub { -e "$place/log/access.log" }), 'nginx opens a new one');
    is_status($registry->get('/v2/'), 200, 'a request');
    ok(wait_for(10, sub { -s "$place/log/access.log" }), '... is in that');
};

subtest 'to syslog' => sub {
    my $name   = tempdir() . '/log';
    my $syslog = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $name) or die "$name: $!";
    chmod 0755, $name =~ s{/log$}{}r;
    chmod 0666, $name;
    my $registry = Registry->start(args => [ '--user', 'ann:x', '--log-to', "syslog:$name" ]);
    my $start = $registry->log;
    $registry->with(user => 'ann:y')->get('/v2/');
    my ($seen, $got) = ('', '');
    ok(wait_for(10, sub { $seen .= "$got\n" while defined $syslog->recv($got, 4000, MSG_DONTWAIT) && length $got; $seen =~ /wrong password/ }), 'a line comes');
    like($seen, qr/^<28>\w{3} [ \d]\d \d\d:\d\d:\d\d docker-registry-server\[\d+\]: time=\S+Z level=warn msg="wrong password" user=ann/m, '... as syslog has it');
    is($registry->log, '', 'and none to stderr') or diag($start);
    is_refused(Registry->try([ '--log-to', $_, '--dir', tempdir() ]), qr/--log-to/, "--log-to $_") for 'syslog:x', 'file';
    is_refused(Registry->try([ '--log-format', 'xml', '--dir', tempdir() ]), qr/--log-format xml: must be text or json/, 'another format');
};

finish();
