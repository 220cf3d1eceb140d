# Blobs in S3 and metadata in PostgreSQL: the data directory has nothing that can't be lost. Workers that are killed in the
# middle of a push lose nothing that was acknowledged.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Postgresql;
use Registry::S3;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep);

skip_or_fail('the program was built without libcurl (Debian: libcurl4-openssl-dev)') if slurp(Registry->program) !~ /libcurl\.so/;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg  = Registry::Postgresql->start;
my $s3  = Registry::S3->start;
my @to  = ('--database', $pg->database('registry'), '--blobs', $s3->url);
my %how = (
    env      => { PGPASSWORD => $pg->password, %{ $s3->env } },
    args     => [ @to, '--lease', '2s', '--gc-interval', '1s', '--history-keep', '0s' ],
    expected => qr/S3|signal|process died|upstream|database|left in connection/,
);
my $registry = Registry->start(%how);
sub objects_of ($bytes) { my ($hex) = digest($bytes) =~ /:(.*)/; return $s3->objects('registry/sha256/' . substr($hex, 0, 2) . "/$hex.") }

my ($kept, $garbage) = map { random_bytes(100_000) } 1 .. 2;
is_status($registry->push_image('a/b', 'v1', [$kept]), 201, 'an image is pushed');
is_status(my $gone = $registry->push_image('a/b', 'v2', [$garbage]), 201, '... and another one');
is_blob($registry, 'a/b', $kept, '... which is pulled');
is_status($registry->delete('/v2/a/b/manifests/' . $gone->header('Docker-Content-Digest')), 202, 'one is deleted');
ok(wait_for(60, sub { !(my @left = objects_of($garbage)) }), '... and its object goes');

my $until = tempdir() . '/over';
my ($killer, @told) = in_parallel(3, 100, sub ($i) {
    if ($i == 0) {
        for (1 .. 5) { sleep 0.7; kill 'KILL', $registry->children('worker bulk') }
        sleep 1;
        spew($until, '');
        return 1;
    }
    my @there;
    while (!-e $until) {
        my $bytes = random_bytes(5000);
        push @there, digest($bytes) if $registry->push_image("r$i", 't' . @there, [$bytes])->status == 201;
        sleep 0.02;
    }
    return \@there;
});
my @there = map { my $i = $_; map { [ "r$i", $_ ] } @{ $told[ $i - 1 ] } } 1 .. 2;
cmp_ok(scalar @there, '>', 5, 'while workers die, pushes are acknowledged');
my @lost = grep { my $got = $registry->get("/v2/$_->[0]/blobs/$_->[1]"); $got->status != 200 || digest($got->content) ne $_->[1] } @there;
is(scalar @lost, 0, '... and are all there');

$registry->crash;
$registry = Registry->start(%how, dir => $registry->dir);
is_blob($registry, 'a/b', $kept, 'after kill -9 of the server all is there');
my $dir = $registry->dir;
works(Registry->try([ 'fsck', '--rate', '0', '--dir', $dir, @to ], timeout => 100, env => $how{env}), 'fsck');
$registry->stop;

my $other = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, @to[ 0, 1 ], '--blobs', $s3->url('other') ], env => $how{env});
is_refused($other, qr/registry-id/, 'another prefix is refused');
finish();
