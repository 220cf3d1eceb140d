# A large manifest, whose bytes are in a file, is damaged on the disk: it is not served as if it were right, its tags
# stay, clients are told what to do, and a new push of it heals it.
use v5.36;
use Registry limit => 60;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

my $registry = Registry->start(args => [ '--scrub-days', '0' ], expected => qr/a manifest or a config is damaged on the disk/);
my ($config, $small) = $registry->push_parts('a/b');
my $large = JSON::PP->new->decode($small);
$large->{annotations} = { text => unpack 'H*', random_bytes(60_000) };
$large = JSON::PP->new->canonical->encode($large);
my $digest = digest($large);

sub fsck (@args) { return Registry->try([ 'fsck', '--dir', $registry->dir, @args ], timeout => 60) }
sub file () { return (glob $registry->dir . '/layers/sha256/' . substr($digest, 7, 2) . '/' . substr($digest, 7) . '.*')[0] }
sub put ()  { return $registry->put_manifest('a/b', 'v1', $large) }

sub is_whole ($what) {
    for my $reference ('v1', $digest) {
        my $r = $registry->get("/v2/a/b/manifests/$reference");
        is_status($r, 200, $what);
        ok($r->content eq $large, '... with its bytes');
        is_status($registry->head("/v2/a/b/manifests/$reference"), 200, '... and HEAD');
    }
    return;
}

sub is_said_to_be_damaged ($what) {
    for my $reference ('v1', $digest) {
        my $r = $registry->get("/v2/a/b/manifests/$reference");
        is_status($r, 404, "$what: GET $reference") or return;
        is($r->json->{errors}[0]{code}, 'MANIFEST_UNKNOWN', '... with its code');
        like($r->content, qr/the manifest $digest is damaged on the registry's disk/, '... says why');
        like($r->content, qr/push it again/, '... and what to do');
        is_status($registry->head("/v2/a/b/manifests/$reference"), 404, '... HEAD, so that a client pushes it');
    }
    is_deeply($registry->get('/v2/a/b/tags/list')->json->{tags}, [ 'other', 'v1' ], '... the tag stays');
    is_status($registry->get('/v2/a/b/manifests/other'), 200, '... and so do others');
    return;
}

is_status(put(), 201, 'a large manifest');
is_status($registry->put_manifest('a/b', 'other', $small), 201, 'a small one');
is_whole('it is served');

subtest 'a flipped byte' => sub {
    flip(file(), 70_000);
    is_said_to_be_damaged('before a repair');
    ok($registry->logged(qr/a manifest or a config is damaged on the disk: push it again" .*digest=$digest why="its file has another digest"/), 'the log has it');
    is_status(put(), 201, 'it is pushed again');
    is_whole('then it is whole');
    is(scalar(() = glob $registry->dir . '/layers/quarantine/*'), 1, 'the damaged file is in the quarantine');
    is(fsck()->{exit}, 0, 'fsck has no findings');
};

subtest 'a repair' => sub {
    flip(file(), 10);
    my $ran = fsck('--repair');
    like($ran->{out}, qr/^blob-digest $digest: its file has another digest; repaired: /m, 'fsck takes it out of use');
    is_said_to_be_damaged('after a repair');
    is_status(put(), 201, 'it is pushed again');
    is_whole('then it is whole');
    is(fsck()->{exit}, 0, 'fsck has no findings');
};

subtest 'a lost file' => sub {
    unlink file() or die $!;
    is_said_to_be_damaged('a lost file');
    is_status(put(), 201, 'it is pushed again');
    is_whole('then it is whole');
};

subtest 'by digest alone, and deleted' => sub {
    flip(file(), 80_000);
    is_status($registry->put_manifest('a/b', $digest, $large), 201, 'a push by digest heals it');
    is_whole('then it is whole');
    for my $damage (sub { flip(file(), 80_000) }, sub { spew(file(), '"' x length $large) }, sub { unlink file() or die $! }, sub { flip(file(), 10); fsck('--repair') }) {
        is_status(put(), 201, 'a large manifest');
        chmod 0644, file();
        $damage->();
        is_status($registry->delete('/v2/a/b/manifests/v1'), 202, 'the tag of a damaged one can be deleted');
        is_status($registry->delete("/v2/a/b/manifests/$digest"), 202, '... and the manifest');
        is_status($registry->get("/v2/a/b/manifests/$digest"), 404, '... which is gone');
        my $ran = fsck('--repair');
        like($ran->{out}, qr/^edge-\S+ .*repaired/m, 'fsck finds what it kept') or diag($ran->{out});
        is(fsck()->{exit}, 0, '... once');
    }
};

# Lists of many manifests do without one that can't be read.
my %ruin = (
    'a file that is too short'      => sub { truncate file(), 60_000 or die $! },
    'a file that is lost'           => sub { unlink file() or die $! },
    'a file that is no JSON'        => sub { flip(file(), 0) },
    'a file that fsck has put away' => sub { flip(file(), 10); fsck('--repair') },
);
for my $how (sort keys %ruin) {
    subtest "$how, in lists" => sub {
        is_status(put(), 201, 'it is pushed again');
        is_whole('it is whole');
        $ruin{$how}->();
        is_said_to_be_damaged($how);
        is_deeply([ map { $_->{name} } @{ $registry->get('/v2/a/b/_tags')->json->{tags} // [] } ], [ 'other', 'v1' ], 'the tags with their sizes')
            or diag($registry->get('/v2/a/b/_tags')->content);
        is_status($registry->get($_), 200, $_) for "/v2/a/b/referrers/$digest", '/v1/repositories/a/b/tags', '/v1/repositories/a/b/images';
        like($registry->get("/v2/_find?$_")->content, qr/^\{"more":false,[^\n]*\}\n\z/m, "a search for $_ comes to its end") for 'label=x', 'name=x';
    };
}

# A document that isn't the pushed one tells no subject: without it, a referrer would go with the manifests that nothing
# reaches.
subtest 'gc --untagged' => sub {
    is_status(put(), 201, 'it is pushed again');
    my %m = (%{ JSON::PP->new->decode($small) }, subject => { mediaType => $Registry::Client::TYPE{manifest}, digest => $digest, size => length $large },
        annotations => { note => 'n' x 70_000 });
    my $referrer = JSON::PP->new->canonical->encode(\%m);
    is_status($registry->put_manifest('a/b', digest($referrer), $referrer), 201, 'a large referrer');
    my $gc = sub () { return Registry->try([ 'gc', '--dir', $registry->dir, '--untagged', '0s' ], timeout => 60) };
    works($gc->(), 'gc --untagged');
    is_status($registry->head("/v2/a/b/manifests/" . digest($referrer)), 200, '... leaves it');
    my $hex = substr digest($referrer), 7;
    flip((glob $registry->dir . '/layers/sha256/' . substr($hex, 0, 2) . "/$hex.*")[0], index($referrer, '"subject"') + 1, "\x01");
    works($gc->(), 'a byte of its subject is another, and gc --untagged');
    like($registry->get('/v2/a/b/manifests/' . digest($referrer))->content, qr/is damaged/, '... leaves it, too');
    is_status($registry->put_manifest('a/b', digest($referrer), $referrer), 201, 'it is pushed again');
    ok((grep { $_->{digest} eq digest($referrer) } @{ $registry->get("/v2/a/b/referrers/$digest")->json->{manifests} }), '... and is a referrer');
    is_status($registry->delete("/v2/a/b/manifests/" . digest($referrer)), 202, 'it is deleted');
};

# So do lists without a config.
my %ruin_config = ('a config whose file is lost' => sub ($file) { unlink $file or die $! }, 'a config that is too short' => sub ($file) { truncate $file, 20 or die $! });
for my $how (sort keys %ruin_config) {
    subtest $how => sub {
        my $hex = substr digest($config), 7;
        $ruin_config{$how}->((glob $registry->dir . '/layers/sha256/' . substr($hex, 0, 2) . "/$hex.*")[0]);
        is_status($registry->get($_), 200, $_) for '/v2/a/b/manifests/other', '/v2/a/b/tags/list', '/v2/a/b/_tags', '/v1/repositories/a/b/tags', '/v1/repositories/a/b/images', '/v2/_find?label=x';
        isnt($registry->get("/v2/a/b/_image/other/$_")->status, 500, "no error of the server: $_") for 'history', 'tree/';
        fsck('--repair');
        $registry->push_blob('a/b', $config);
        is_status($registry->get('/v2/a/b/blobs/' . digest($config)), 200, 'pushed again, it is there');
        is(fsck()->{exit}, 0, 'fsck has no findings');
    };
}
finish();
