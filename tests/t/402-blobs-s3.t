# --blobs s3://: blobs are objects of a bucket. What was acknowledged is there, and a server that fails, is slow, or sends
# other bytes leads to a clear error, and to nothing that is half there.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::S3;
use Registry::Tools;
use Registry::V1 ();
use Test::More;

skip_or_fail('the program was built without libcurl (Debian: libcurl4-openssl-dev)') if slurp(Registry->program) !~ /libcurl\.so/;

my $s3  = Registry::S3->start;
my $log = qr/S3|upstream|an error|can't be|GET |request failed/;
my $registry = Registry->start(args => [ '--blobs', $s3->url, '--lease', '1s', '--gc-interval', '1s', '--history-keep', '0s' ], env => $s3->env, expected => $log);
my $dir = $registry->dir;

sub objects_of ($bytes) { my ($hex) = digest($bytes) =~ /:(.*)/; return $s3->objects('registry/sha256/' . substr($hex, 0, 2) . "/$hex.") }
sub push_one ($bytes) { return $registry->push_blob('team/app', $bytes) }

my $layer = random_bytes(300_000);
subtest 'push and pull' => sub {
    is_status($registry->push_image('team/app', 'v1', [$layer]), 201, 'an image');
    is(scalar(my @there = objects_of($layer)), 1, '... its layer is an object');
    is_deeply([ $registry->files('layers') ], [], '... and not in the data directory');
    is_tidy($registry);
    my $first = $registry->get('/v2/team/app/blobs/' . digest($layer), headers => { Authorization => 'Basic YTpi', Cookie => 'a=b' });
    is_status($first, 200, 'it is pulled, and the password does not go to S3');
    is_blob($registry, 'team/app', $layer, '... whole');
    is_blob($registry, 'team/app', $layer, '... and again, from the cache of nginx');
    my $path = '/v2/team/app/blobs/' . digest($layer);
    my $whole = $registry->get($path);
    is($whole->header('ETag'), '"' . digest($layer) . '"', 'the headers are those of the registry');
    is($whole->header('Content-Type'), 'application/octet-stream', '... all of them');
    is($whole->header('X-Amz-Request-Id'), undef, '... and none is of S3');
    my $range = $registry->get($path, headers => { Range => 'bytes=1000-1999', Authorization => 'Basic YTpi' });
    is_status($range, 206, 'a range');
    is($range->content, substr($layer, 1000, 1000), '... has its bytes');
    is_status($registry->get($path, headers => { Range => 'bytes=9999999-' }), 416, 'a range behind the end');
    ok(wait_for(20, sub { $registry->files('index') >= 1 }), 'the layer is indexed');
};

subtest 'a server that fails' => sub {
    $s3->fail(methods => 'PUT', status => 500, n => 2);
    is_status(push_one(my $late = random_bytes(5000)), 201, 'two failures are made up for');
    is($s3->failed, 2, '... there were two');
    $s3->fail(methods => 'PUT', status => 503);
    my $lost = random_bytes(5000);
    my $refused = push_one($lost);
    is_error($refused, 503, 'UNAVAILABLE', 'a push while it always fails');
    $s3->fail;
    is(scalar(my @none = objects_of($lost)), 0, '... leaves no object');
    is_status($registry->head('/v2/team/app/blobs/' . digest($lost)), 404, '... and no blob');
    is_status(push_one($lost), 201, '... and succeeds afterwards');
    $s3->fail(methods => 'PUT', drop => 1, n => 1);
    is_status(push_one(random_bytes(5000)), 201, 'a connection that ends is made up for');
    my $cold = random_bytes(200_000);
    is_status(push_one($cold), 201, 'a blob that nobody has pulled');
    my $path = '/v2/team/app/blobs/' . digest($cold);
    $s3->fail(methods => 'GET', status => 500);
    is_error($registry->get($path), 503, 'UNAVAILABLE', 'a pull while it fails');
    $s3->fail(methods => 'GET', status => 403);
    is_error($registry->get($path), 503, 'UNAVAILABLE', 'a pull while it refuses the key');
    $s3->fail(methods => 'GET', truncate => 1);
    my $cut = eval { $registry->get($path) };
    isnt(digest($cut ? $cut->content : ''), digest($cold), 'a pull that is cut');
    $s3->fail;
    is_blob($registry, 'team/app', $cold, '... is whole afterwards: nothing half is kept');
    my $whole = $registry->get($path);
    is_deeply([ grep { defined $whole->header($_) } qw(Content-Encoding Link Refresh WWW-Authenticate x-amz-request-id) ], [], '... and has no header of S3');
};

# Clients that begin anew each time, while S3 refuses each blob: what they leave must not count for a day.
my $strict = Registry->start(args => [ '--blobs', $s3->url =~ s{/registry}{/strict}r, '--max-uploads', 3 ], env => $s3->env, expected => $log, dir => tempdir() . '/strict');
$s3->fail(methods => 'PUT', status => 503);
is_deeply([ map { $strict->push_blob('team/app', random_bytes(5000), way => $_)->status } qw(put put patch) ], [ 503, 503, 503 ], 'three blobs are refused');
is_status($strict->post('/v2/team/app/blobs/uploads/', body => ''), 429, '... and the fourth is one too many');
$s3->fail;

subtest 'commands beside the server' => sub {
    works(Registry->try([ 'fsck', '--rate', '0', '--dir', $dir ], timeout => 60), 'fsck');
    my $tar = tempdir() . '/app.tar';
    works(Registry->try([ 'export', 'team/app:v1', '--dir', $dir, '--output', $tar ], timeout => 60), 'export');
    works(Registry->try([ 'import', $tar, '--dir', $dir, '--prefix', 'back' ], timeout => 60), 'import');
    my $backups = tempdir();
    chmod 0755, $backups;
    works(Registry->try([ 'backup', $backups, '--dir', $dir ], timeout => 60), 'backup');
    my ($backup) = glob "$backups/*";
    my $to  = tempdir() . '/restored';
    my @as  = is_root() ? ('--run-as', 'www-data') : ();
    my @new = ('--blobs', $s3->url('restored'));
    works(Registry->try([ 'restore', $backup, '--dir', $to, @as, @new ], timeout => 60, env => $s3->env), 'restore into another prefix');
    my $restored = Registry->start(dir => $to, args => \@new, env => $s3->env);
    is_blob($restored, 'team/app', $layer, '... has the layer');
    is_sound($restored);
    $restored->stop;
    $s3->fail(methods => 'HEAD|GET', status => 500);
    my $ran = Registry->try([ 'fsck', '--repair', '--rate', '0', '--dir', $dir ], timeout => 100);
    isnt($ran->{exit}, 0, 'fsck --repair while S3 fails');
    unlike($ran->{out}, qr/quarantine|repaired: [1-9]/, '... takes nothing for damaged');
    $s3->fail;
    is_blob($registry, 'team/app', $layer, '... and the layer is there');
    rename "$s3->{dir}/objects/registry", "$s3->{dir}/objects/elsewhere" or die $!;
    $ran = Registry->try([ 'fsck', '--repair', '--rate', '0', '--dir', $dir ], timeout => 100);
    isnt($ran->{exit}, 0, 'fsck --repair when the bucket is empty');
    like($ran->{out} . $ran->{err}, qr/no registry-id/, '... says that it is');
    rename "$s3->{dir}/objects/elsewhere", "$s3->{dir}/objects/registry" or die $!;
    is_sound($registry);
};

subtest 'garbage' => sub {
    is_status($registry->push_image('gone/app', 'v1', [ my $gone = random_bytes(5000) ]), 201, 'an image');
    is(Registry->try([ 'repo', 'rm', 'gone/app', '--now', '--dir', $dir ])->{exit}, 0, '... is removed');
    ok(wait_for(90, sub { !(my @left = objects_of($gone)) }), '... and its object goes');
};
$registry->stop;

subtest 'other keys and buckets' => sub {
    my $refused = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, '--blobs', $s3->url ], env => { AWS_ACCESS_KEY_ID => 'KEY', AWS_SECRET_ACCESS_KEY => 'other' });
    is_refused($refused, qr/403 SignatureDoesNotMatch/, 'a wrong key');
    $refused = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, '--blobs', $s3->url('other') ], env => $s3->env);
    is_refused($refused, qr/no registry-id/, 'another prefix');
};

SKIP: {
    my $versity = Registry::S3->versitygw or skip 'versitygw is not installed', 1;
    subtest 'versitygw' => sub {
        my $with = Registry->start(args => [ '--blobs', $versity->url, '--lease', '1s', '--gc-interval', '1s', '--history-keep', '0s' ], env => $versity->env);
        my $bytes = Registry::V1::tar_of([ 'etc/motd', 'welcome' ]) . random_bytes(300_000);
        is_status(my $image = $with->push_image('team/app', 'v1', [$bytes]), 201, 'an image');
        is_blob($with, 'team/app', $bytes, '... is pulled');
        my $path = '/v2/team/app/blobs/' . digest($bytes);
        my $range = $with->get($path, headers => { Range => 'bytes=1000-1999', Authorization => 'Basic YTpi' });
        is($range->content, substr($bytes, 1000, 1000), '... and a range of it');
        is_status($with->head($path), 200, '... and found by HEAD');
        is($with->get('/v2/team/app/_image/v1/blobs/etc/motd')->content, 'welcome', '... and looked into');
        my $shard = "$versity->{dir}/layers/registry/sha256/" . substr digest($bytes) =~ s/.*://r, 0, 2;
        ok(scalar(my @there = glob "$shard/*"), 'its layer is an object');
        is_status($with->delete('/v2/team/app/manifests/' . $image->header('Docker-Content-Digest')), 202, 'it is deleted');
        ok(wait_for(60, sub { !(my @left = glob "$shard/*") }), '... and the object goes');
    };
}

my $begun;
ok(wait_for(90, sub { ($begun = $strict->post('/v2/team/app/blobs/uploads/', body => ''))->status == 202 }), 'the refused uploads of before expire soon')
    or diag($begun->status);

# Whoever is between must have a certificate that the machine trusts.
my $between = Registry::S3->impostor;
my $refused = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', tempdir() . '/tls', '--blobs', $between->url ], env => $s3->env, timeout => 60);
is_refused($refused, qr/certificate/i, 'a certificate that nobody trusts');

finish();
