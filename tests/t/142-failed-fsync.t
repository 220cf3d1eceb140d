# An fsync that fails is never tried again: the upload is refused and its file goes, the database recovers, and nothing
# that was acknowledged is lost.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Shim;
use Registry::Tools;
use Errno qw(EIO);
use Test::More;

my $shim = Registry::Shim->new;
my $expected =
    qr/a request failed|can't be synced|needs recovery|database lost|process died|recovering the database|berkeley db|upstream|signal=/;
my $registry = Registry->start(env => $shim->env, expected => $expected, args => [ '--gc-interval', '1s' ]);
my $before   = random_bytes(2000);
is_status($registry->push_image('a/b', 'before', [$before]), 201, 'an image is pushed');

for my $way (qw(patch put post)) {
    subtest "$way: the file of an upload" => sub {
        my $bytes = random_bytes(100_000);
        my $place = $registry->start_upload('a/b');
        $shim->fail(fsync => 'uploads/', EIO, times => 1);
        my $response = $registry->push_blob('a/b', $bytes, way => $way);
        is_error($response, 503, 'UNAVAILABLE', 'the push is refused');
        like($response->header('Retry-After') // '', qr/^\d+$/, '... to be repeated later');
        is($shim->failed, 1, '... since one fsync failed, and there was no other');
        ok(wait_for(10, sub { !grep { !m{^uploads/body$} && -f $registry->dir . "/$_" } $registry->files('uploads') }),
            '... its file is gone') or diag(join "\n", $registry->files('uploads'));
        is(scalar $registry->blob_files(digest($bytes)), 0, '... and never got a place');
        $shim->heal;
        is_status($registry->push_blob('a/b', $bytes, way => $way), 201, 'it can be pushed again');
        is_blob($registry, 'a/b', $bytes, '... and is whole');
        $registry->delete($place);
    };
}

subtest 'a closed upload is not continued' => sub {
    my $bytes = random_bytes(1000);
    my $place = $registry->start_upload('a/b');
    is_status($registry->patch($place, body => $bytes), 202, 'bytes come');
    $shim->fail(fsync => 'uploads/', EIO, times => 1);
    my $end = $registry->with_digest($place, digest($bytes));
    is_error($registry->put($end, body => ''), 503, 'UNAVAILABLE', 'the disk loses them');
    is_error($registry->put($end, body => ''), 404, 'BLOB_UPLOAD_UNKNOWN', 'they must come again');
    $shim->heal;
};

subtest 'the directory of a layer' => sub {
    my $bytes = random_bytes(5000);
    $shim->fail(fsync => 'layers/sha256/', EIO, times => 1);
    is_error($registry->push_blob('a/b', $bytes), 503, 'UNAVAILABLE', 'the push is refused');
    is(scalar $registry->blob_files(digest($bytes)), 0, '... and the name is taken back');
    $shim->heal;
    is_status($registry->push_blob('a/b', $bytes), 201, 'it can be pushed again');
};

# One that was left by a process that died has the mode 700.
subtest 'the name of a new directory of layers' => sub {
    my $place = sub ($bytes) { return $registry->dir . '/layers/sha256/' . substr digest($bytes), 7, 2 };
    my $new   = sub () {
        for (1 .. 10_000) {
            my $bytes = random_bytes(5000);
            return $bytes if !-e $place->($bytes);
        }
        die 'each directory is there';
    };
    for my $left (0, 1) {
        my $bytes = $new->();
        if ($left) {
            mkdir $place->($bytes), 0700 or die "mkdir: $!";
            if (is_root()) { chown((stat $registry->dir . '/layers/sha256')[ 4, 5 ], $place->($bytes)) or die "chown: $!" }
        }
        $shim->fail(fsync => 'layers/sha256', EIO, times => 1);
        is_error($registry->push_blob('a/b', $bytes), 503, 'UNAVAILABLE', $left ? 'left by a crash: the push is refused' : 'the push is refused');
        ok(!-e $place->($bytes), '... and the directory goes');
        $shim->heal;
        is_status($registry->push_blob('a/b', $bytes), 201, 'it can be pushed again');
        is((stat $place->($bytes))[2] & 0777, 0750, '... into a directory that counts as durable');
        is_blob($registry, 'a/b', $bytes, '... whole');
    }
};

subtest "the database's log" => sub {
    my $recoveries = $registry->logged(qr/recovering the database/);
    my $bytes      = random_bytes(3000);
    $shim->fail(fdatasync => '/db/log.', EIO, times => 1);
    my $response = $registry->push_blob('a/b', $bytes);
    is_error($response, 503, 'UNAVAILABLE', 'what was not logged is not acknowledged');
    like($response->header('Retry-After') // '', qr/^\d+$/, '... and has to be repeated');
    is($shim->failed, 1, 'one fdatasync failed');
    ok(wait_for(10, sub { $registry->logged(qr/recovering the database/) > $recoveries }), 'the database is recovered');
    $shim->heal;
    ok(wait_for(10, sub { $registry->get('/healthz')->status == 200 }), 'it works again without a restart');
    is_status($registry->push_blob('a/b', $bytes), 201, '... and takes the push');
    is_blob($registry, 'a/b', $bytes, '... whole');
};

is_blob($registry, 'a/b', $before, 'what was acknowledged before is there');
is_status($registry->get('/v2/a/b/manifests/before'), 200, '... and its tag');
$registry->stop;
finish();
