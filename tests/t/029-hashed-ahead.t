# Large uploads are hashed while they come, and are what they were announced to be nevertheless.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep);

my $registry = Registry->start;
my $MIB      = 1 << 20;

# Bytes that are not the same anywhere, made quickly.
sub many_bytes ($n) { my $piece = random_bytes($MIB); return join '', map { pack('N', $_) . substr $piece, 4 } 1 .. $n / $MIB }

# A request whose body comes in two parts, with a pause in which the first is hashed.
sub send_slowly ($method, $place, $bytes) {
    my $connection = $registry->connect;
    $connection->send($registry->head_of($method, $place, headers => { 'Content-Length' => length $bytes }));
    my $half = length($bytes) / 2;
    $connection->send(substr $bytes, 0, $half);
    sleep 0.5;
    $connection->send(substr $bytes, $half);
    return $connection->response($method);
}

subtest 'a PATCH, and a PUT without a body' => sub {
    my $bytes = many_bytes(40 * $MIB);
    my $place = $registry->start_upload('a/b');
    is_status(send_slowly('PATCH', $place, $bytes), 202, 'PATCH');
    is_status($registry->put($registry->with_digest($place, digest($bytes)), body => ''), 201, 'PUT');
    ok($registry->get('/v2/a/b/blobs/' . digest($bytes))->content eq $bytes, 'the same bytes come back');
};

subtest 'a PUT with all of it' => sub {
    my $bytes = many_bytes(40 * $MIB);
    my $place = $registry->start_upload('a/b');
    is_status(send_slowly('PUT', $registry->with_digest($place, digest($bytes)), $bytes), 201, 'PUT');
    ok($registry->get('/v2/a/b/blobs/' . digest($bytes))->content eq $bytes, 'the same bytes come back');
};

subtest 'pieces' => sub {
    my ($first, $second, $third) = map { many_bytes(20 * $MIB) } 1 .. 3;
    my $place = $registry->start_upload('a/b');
    is_status(send_slowly('PATCH', $place, $first),  202, 'the first');
    is_status(send_slowly('PATCH', $place, $second), 202, 'the second');
    my $digest = digest($first . $second . $third);
    is_status(send_slowly('PUT', $registry->with_digest($place, $digest), $third), 201, 'the third, with PUT');
    is_status($registry->head("/v2/a/b/blobs/$digest"), 200, 'the blob is there', 'Content-Length' => 60 * $MIB);
};

subtest 'sha512' => sub {
    my $bytes  = many_bytes(20 * $MIB);
    my $digest = 'sha512:' . Digest::SHA::sha512_hex($bytes);
    is_status(send_slowly('PUT', $registry->with_digest($registry->start_upload('a/b'), $digest), $bytes), 201, 'PUT');
};

subtest 'a digest of other bytes' => sub {
    my $bytes = many_bytes(20 * $MIB);
    my $place = $registry->start_upload('a/b');
    is_error(send_slowly('PUT', $registry->with_digest($place, digest("x$bytes")), $bytes), 400, 'DIGEST_INVALID', 'PUT');
    # The beginning of another file, which may have had the same inode, counts for nothing.
    for (1 .. 5) {
        my ($gone, $other) = map { many_bytes(20 * $MIB) } 1, 2;
        my $connection = $registry->connect;
        $connection->send($registry->head_of('PATCH', $registry->start_upload('a/b'), headers => { 'Content-Length' => 2 * length $gone }));
        $connection->send($gone);
        sleep 0.3;
        $connection->close;
        ok(wait_for(10, sub { !$registry->files('uploads/body') }), 'an upload that was broken off is gone');
        my $mixed = digest($gone . substr $other, length($other) / 2);
        is_error(send_slowly('PUT', $registry->with_digest($registry->start_upload('a/b'), $mixed), $other), 400, 'DIGEST_INVALID',
            '... and is no part of the next one');
        is_status(send_slowly('PUT', $registry->with_digest($registry->start_upload('a/b'), digest($other)), $other), 201, '... which is stored');
    }
};

ok(wait_for(10, sub { !$registry->files('uploads/body') }), 'no bodies are left');
finish();
