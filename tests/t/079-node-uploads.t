# Two servers of one database: an upload belongs to the one that began it, and the other passes its requests on, so that
# clients may send each request to any of them.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use Digest::SHA qw(hmac_sha256_hex);
use Test::More;
use Time::HiRes qw(time);

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg    = Registry::Postgresql->start;
my $url   = $pg->database('registry');
my $blobs = tempdir() . '/blobs';
mkdir $blobs or die "mkdir: $!";
if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], $blobs) or die "chown: $!" }
my $rules = tempdir() . '/rules';
spew($rules, "** ann all\n** bob all\n** eve pull\n");
my $expected = qr/signal 9|signal=9|database|left in connection|aborting|upstream|Connection refused/;

sub start_node (@more) {
    my $port = free_port();
    return Registry->start(
        env      => { PGPASSWORD => $pg->password },
        expected => $expected,
        listen   => [ '--listen', '127.0.0.1', '--port', $port ],
        user     => 'ann:secret',
        args     => [ '--database', $url, '--blobs', $blobs, '--node-address', "127.0.0.1:$port", '--user', 'ann:secret', (map { ('--user', "$_:secret") } qw(bob eve)), '--access', $rules, @more ],
    );
}

my $a = start_node();
my $b = start_node('--upload-expiry', '3s');
ok(wait_for(30, sub { $pg->sql('registry', q(SELECT count(*) FROM kv_node WHERE beat > now() - interval '20 s'))->{out} eq "2\n" }), 'two servers run');
my $third = Registry->try(
    [ '--listen', '127.0.0.1', '--port', '0', '--dir', tempdir() . '/third', '--database', $url, '--blobs', $blobs, '--node-address', "127.0.0.1:$a->{port}" ],
    env => { PGPASSWORD => $pg->password }, timeout => 60,
);
is_refused($third, qr/has the --node-address 127\.0\.0\.1:$a->{port}, too: give each its own/, 'a third one with the address of the first');
sub location ($response) { return $response->header('Location') =~ s{^http://[^/]+}{}r }

subtest 'an upload that begins here and goes on there' => sub {
    my @pieces = map { random_bytes(200_000) } 1 .. 4;
    my $begun  = $a->request('POST', '/v2/team/app/blobs/uploads/');
    is_status($begun, 202, 'it begins');
    my $upload = location($begun);
    like($upload, qr{/uploads/0001[0-9a-f]{28}$}, '... with the number of its node');
    my $at = 0;
    for my $i (0 .. 3) {
        my $to   = $i % 2 == 0 ? $b : $a;
        my $end  = $at + length($pieces[$i]) - 1;
        my $done = $to->request('PATCH', $upload, body => $pieces[$i], headers => { 'Content-Type' => 'application/octet-stream', 'Content-Range' => "$at-$end" });
        is_status($done, 202, "piece $i, to " . ($to == $a ? 'its node' : 'the other one'), Range => "0-$end");
        is(location($done), $upload, '... whose answer has the same place');
        $at = $end + 1;
    }
    is_status($b->request('GET', $upload), 204, 'how far it is, from the other one', Range => '0-' . ($at - 1));
    is_status($b->request('HEAD', $upload), 204, '... and without a body');
    is_error($b->request('PATCH', $upload, body => 'x', headers => { 'Content-Range' => '5-5' }), 416, 'BLOB_UPLOAD_INVALID', 'a piece that does not fit');
    is_error($b->with(user => 'bob:secret')->request('PATCH', $upload, body => 'x'), 404, 'BLOB_UPLOAD_UNKNOWN', 'the upload of another user');
    is($b->with(user => undef)->request('PATCH', $upload, body => 'x')->status, 401, 'nobody');
    is_error($b->with(user => 'eve:secret')->request($_, $upload, body => 'x'), 403, 'DENIED', "$_ by somebody who may not push") for qw(PATCH PUT DELETE);
    is($b->with(user => 'ann:wrong')->request('PATCH', $upload, body => 'x')->status, 401, 'a wrong password');
    my $whole = join '', @pieces;
    is_status($b->request('PUT', "$upload?digest=" . digest($whole)), 201, 'it ends there');
    is($_->request('GET', '/v2/team/app/blobs/' . digest($whole))->content, $whole, 'both have the blob') for $a, $b;
    is_status($b->request('GET', $upload), 404, 'and the upload is over');
};

subtest 'with a body of unknown length' => sub {
    my $upload = location($b->request('POST', '/v2/team/app/blobs/uploads/'));
    like($upload, qr{/uploads/0002}, 'an upload of the second node');
    my $bytes = random_bytes(3_000_000);
    my @left  = $bytes =~ /(.{1,60000})/gs;
    is_status($a->request('PATCH', $upload, body => sub { shift @left }), 202, 'a body in chunks');
    is_status($a->request('PUT', "$upload?digest=" . digest($bytes)), 201, 'it ends');
    is($a->request('GET', '/v2/team/app/blobs/' . digest($bytes))->content, $bytes, 'the blob is whole');
    is_deeply([ grep { /uploads/ } map { $_->files('uploads') } $a, $b ], [], 'and nothing is left in uploads/');
};

subtest 'cancelling' => sub {
    my $upload = location($a->request('POST', '/v2/team/app/blobs/uploads/'));
    is_status($b->request('DELETE', $upload), 204, 'from the other node');
    is_status($a->request('GET', $upload), 404, 'it is gone');
};

subtest 'what nobody can forge' => sub {
    my $upload = location($a->request('POST', '/v2/team/app/blobs/uploads/'));
    my $key    = pack 'H*', $pg->sql('registry', q(SELECT encode(value, 'hex') FROM kv_secret WHERE name = 'nodes'))->{out} =~ s/\n//r;
    my $pass   = sub ($to, $time, $user, $method, $path, $query, $with) {
        my $head = sprintf '%d.%d.%s.%s', $to, $time * 1000, unpack('H*', $user), unpack('H*', '192.0.2.1');
        return $head . '.' . hmac_sha256_hex("docker-registry-server upload 1\n$head\n$method\n$path\n$query", $with);
    };
    my $status = sub ($header, $method = 'GET', $to = $upload) { return $a->with(user => undef)->request($method, $to, headers => { 'X-Registry-Pass' => $header })->status };
    is($status->($pass->(1, time, 'ann', 'GET', $upload, '', $key)), 204, 'what a node has signed is believed');
    is($status->('x'), 403, 'nothing else is');
    is($status->($pass->(1, time, 'ann', 'GET', $upload, '', 'y' x 32)), 403, 'no other key');
    is($status->($pass->(1, time - 120, 'ann', 'GET', $upload, '', $key)), 403, 'no other time');
    is($status->($pass->(2, time, 'ann', 'GET', $upload, '', $key)), 403, 'no other node');
    is($status->($pass->(1, time, 'ann', 'GET', $upload, '', $key), 'DELETE'), 403, 'no other method');
    my $other = location($b->request('POST', '/v2/team/app/blobs/uploads/'));
    is($status->($pass->(1, time, 'ann', 'GET', $other, '', $key), 'GET', $other), 404, 'and it is never passed on again');
    is_status($a->request('DELETE', $upload), 204, 'the upload is as it was');
};

subtest 'a node that is dead' => sub {
    my $upload = location($a->request('POST', '/v2/team/app/blobs/uploads/'));
    is_status($b->request('PATCH', $upload, body => 'abc'), 202, 'while it lives');
    $a->crash;
    is($b->request('PATCH', $upload, body => 'abc')->status, 503, 'just after its death: the client tries again');
    $pg->sql('registry', q(UPDATE kv_node SET beat = now() - interval '1 hour' WHERE number = 1));
    is_error($b->request('PATCH', $upload, body => 'abc'), 404, 'BLOB_UPLOAD_UNKNOWN', 'when it counts as dead: the client begins anew');
    is_status($b->request('GET', $upload), 404, '... also for a request without a body');
    ok(wait_for(100, sub { $pg->sql('registry', 'SELECT count(*) FROM upload')->{out} eq "0\n" }), 'its uploads expire');
};
finish();
