# What nobody needs goes by itself, while all goes on; what a client was told is there stays for its push.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $registry = Registry->start(args => [ '--lease', '3s', '--upload-expiry', '4s', '--gc-interval', '1s' ]);
my ($used, $moved, $lone, $asked, $mounted) = map { random_bytes(2000 + $_) } 1 .. 5;

is_status($registry->push_image('a/b', 'v1', [$used]), 201, 'an image with a tag');
my $old = $registry->push_image('a/b', 'v2', [$moved])->header('Docker-Content-Digest');
is_status($registry->push_image('a/b', 'v2', [$used]), 201, 'one whose tag has moved on');
is_status($registry->push_blob('a/b', $_), 201, 'a blob that no manifest names') for $lone, $asked, $mounted;
my $mount = '/v2/c/d/blobs/uploads/?mount=' . digest($mounted) . '&from=a/b';
is_status($registry->post($mount, body => ''), 201, '... one of them mounted');
my ($config, $manifest) = $registry->image_of([$asked]);
$registry->push_blob('a/b', $config);
my $left = $registry->start_upload('a/b');
is_status($registry->patch($left, body => 'x' x 1000), 202, 'an upload that nobody goes on with');
my $slow = $registry->start_upload('a/b');

# Somebody asks for a blob from time to time, as a slow push does, and another upload creeps on.
my $said = 0;
my $sent = 0;
for my $second (1 .. 10) {
    $said += grep { $registry->head('/v2/a/b/blobs/' . digest($_))->status == 200 } $asked, $config;
    $sent++ if $registry->patch($slow, body => 'y')->status == 202;
    sleep 1;
}
is($said, 20, 'blobs that are asked for stay');
is($sent, 10, 'so does an upload that goes on');
is_status($registry->put_manifest('a/b', 'v3', $manifest), 201, 'the manifest that needs them is taken');

sub gone ($path) { return defined wait_for(20, sub { $registry->get($path)->status == 404 }) }

ok(gone('/v2/a/b/blobs/' . digest($lone)),    'the blob that nobody asked for is gone');
ok(gone('/v2/c/d/blobs/' . digest($mounted)), 'the mounted one, too');
is_status($registry->head('/v2/a/b/blobs/' . digest($mounted)), 404, '... from both repositories');
ok(gone($left), 'the upload is gone');
ok(wait_for(5, sub { $registry->files('uploads') <= 1 }), '... with its bytes') or diag(join "\n", $registry->files('uploads'));

is_blob($registry, 'a/b', $_, 'what a manifest names is there') for $used, $moved, $asked, $config;
is_status($registry->get("/v2/a/b/manifests/$_"), 200, "... $_") for 'v1', 'v2', 'v3', $old;
is_status($registry->push_image('a/b', 'v4', [$lone]), 201, 'the blob comes again');
is_blob($registry, 'a/b', $lone, '... and is served');
is_status($registry->head('/v2/c/d/blobs/' . digest($lone)), 404, '... only where it was pushed to');
is_status($registry->put($registry->with_digest($slow, digest('y' x 10)), body => ''), 201, 'the slow upload comes to its end');
is_tidy($registry);
is_sound($registry);

finish();
