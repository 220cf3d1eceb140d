# "docker-registry-server repo": what takes the space, what a deletion would free, and a whole repository that goes.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

sub repo ($registry, @args) { return Registry->try([ 'repo', @args, '--dir', $registry->dir ]) }

sub json ($registry, @args) {
    my $ran = repo($registry, @args, '--json');
    is($ran->{exit}, 0, "repo @args") or diag($ran->{err});
    return JSON::PP->new->decode($ran->{out});
}

my $registry = Registry->start(args => [ '--lease', '1h', '--gc-interval', '1s' ]);
my ($base, $one, $two, $old) = map { random_bytes($_) } 40_000, 5000, 6000, 7000;
my %size;
for my $image ([ 'a/b', 'v1', $base, $one ], [ 'a/b', 'v2', $base, $two ], [ 'c/d', 'v1', $base ], [ 'a/b', 'old', $old ]) {
    my ($repository, $tag, @layers) = @$image;
    my ($config, $manifest) = $registry->image_of([@layers]);
    is_status($registry->push_image($repository, $tag, [@layers]), 201, "$repository:$tag");
    $size{"$repository:$tag"} = { config => length $config, manifest => length $manifest, digest => digest($manifest) };
}
is_status($registry->put_manifest('a/b', 'same', ($registry->image_of([ $base, $two ]))[1]), 201, 'another tag of v2');
is_status($registry->put_manifest('a/b', 'old', ($registry->image_of([ $base, $one ]))[1]), 201, 'a tag moves');
my $documents = sub ($image) { return $size{$image}{config} + $size{$image}{manifest} };
my %all = (
    'a/b' => 40_000 + 5000 + 6000 + 7000 + $documents->('a/b:v1') + $documents->('a/b:v2') + $documents->('a/b:old'),
    'c/d' => 40_000 + $documents->('c/d:v1'),
);

subtest 'ls' => sub {
    is_deeply([ map { "$_->{name} $_->{tags} $_->{bytes}" } @{ json($registry, 'ls') } ], [ "a/b 4 $all{'a/b'}", "c/d 1 $all{'c/d'}" ], 'all of them');
    is_deeply([ map { $_->{name} } @{ json($registry, 'ls', 'c/*') } ], ['c/d'], 'those that a pattern matches');
    is_deeply(json($registry, 'ls', 'x'), [], 'or none');
    like(repo($registry, 'ls')->{out}, qr/^60\.\d kB +4 tags  a\/b\n40\.\d kB +1 tag   c\/d\n$/, 'as lines');
};

subtest 'du' => sub {
    my $du = json($registry, 'du');
    is_deeply([ map { "$_->{name} $_->{bytes} $_->{own}" } @$du ],
        [ "a/b $all{'a/b'} " . ($all{'a/b'} - 40_000), "c/d $all{'c/d'} " . ($all{'c/d'} - 40_000) ], 'the largest first; the base belongs to both');
    like(repo($registry, 'du')->{out}, qr/^SIZE +OWN +REPOSITORY\n60\.\d kB +20\.\d kB +a\/b\n.*^\S+ kB +\S+ \S+ +\d+ repositories together; a shared layer counts in each$/ms, 'as lines');
    my $of    = json($registry, 'du', 'a/b');
    my %part  = map { (($_->{tag} // $_->{untagged}) => "$_->{bytes} $_->{own}") } @{ $of->{parts} };
    my $whole = sub ($image, @layers) { my $sum = $documents->($image); $sum += $_ for @layers; return $sum };
    is_deeply(\%part, {
        v1 => $whole->('a/b:v1', 40_000, 5000) . ' 0', old => $whole->('a/b:v1', 40_000, 5000) . ' 0',
        v2 => $whole->('a/b:v2', 40_000, 6000) . ' 0', same => $whole->('a/b:v2', 40_000, 6000) . ' 0',
        $size{'a/b:old'}{digest} => $whole->('a/b:old', 7000) . ' ' . $whole->('a/b:old', 7000),
    }, 'by tags; what two tags name is no one\'s own; what none names is listed') or diag(explain($of));
    is("$of->{all}{bytes} $of->{all}{own}", "$all{'a/b'} " . ($all{'a/b'} - 40_000), '... and all of it');
    is_status($registry->delete("/v2/a/b/manifests/$_"), 202, "tag $_ is deleted") for 'same', 'old';
    my %now = map { (($_->{tag} // $_->{untagged}) => $_->{own}) } @{ json($registry, 'du', 'a/b')->{parts} };
    is($now{v2}, $documents->('a/b:v2') + 6000, 'then a tag has bytes of its own');
    is($now{v1}, $documents->('a/b:v1') + 5000, '... and the other one');
    like(repo($registry, 'du', 'a/b')->{out}, qr/^45\.\d kB +5\.\d kB +v1\n.*^7\.\d kB +7\.\d kB +sha256:/ms, '... as lines');
};

subtest 'rm' => sub {
    my $before = () = $registry->output =~ /untag|delete/g;
    my $ran = json($registry, 'rm', 'a/b');
    is("$ran->{tags} $ran->{manifests}", '2 3', 'all tags and manifests go');
    is_status($registry->get("/v2/a/b/manifests/$_"), 404, "... $_") for 'v1', 'v2', map { $size{"a/b:$_"}{digest} } qw(v1 v2 old);
    is_status($registry->get('/v2/c/d/manifests/v1'), 200, 'another repository has its image');
    is_deeply([ map { $_->{name} } @{ json($registry, 'ls') } ], ['c/d'], 'it is no longer listed');
    my ($kept) = grep { $_->{name} eq 'a/b' } @{ json($registry, 'du') };
    is($kept->{deleted}, 3, 'undo can bring back what had tags');
    is($kept->{deleted_bytes}, $all{'a/b'} - 40_000, '... and that is said to take its space');
    ok($registry->blob_files(digest($one)), '... for the layers are there');
    is_refused(repo($registry, 'rm', 'no/thing'), qr/there is no repository no\/thing/, 'a repository that there is not');

    is(json($registry, 'rm', 'a/b', '--now')->{manifests}, 0, '--now takes the rest');
    ok(wait_for(20, sub { !grep { $registry->blob_files(digest($_)) } $one, $two, $old }), 'the bytes go with the next collection');
    is_blob($registry, 'c/d', $base, 'what another repository has is there');
    is_status($registry->get('/v2/a/b/blobs/' . digest($base)), 404, '... and not here any more');
    my $now = $registry->push_image('a/b', 'v9', [ $base, $one ])->header('Docker-Content-Digest');
    is(json($registry, 'rm', 'a/b', '--now')->{manifests}, 1, 'at once, after a push');
    ok(wait_for(20, sub { !$registry->blob_files(digest($one)) }), '... though a lease had an hour to go');
    is_status($registry->push_image('a/b', 'v1', [ $base, $one ]), 201, 'the name can be used again');
    is_blob($registry, 'a/b', $_, '... with its layers') for $base, $one;
};

# Pushes that were given up.
subtest 'layers that no image names' => sub {
    my ($lost, $both, $needed) = map { random_bytes(3000 + $_) } 1 .. 3;
    is_status($registry->push_blob('e/f', $_), 201, 'a layer is pushed') for $lost, $both, $needed;
    is_status($registry->push_image('g/h', 'v1', [$needed]), 201, '... and one of them with an image elsewhere');
    is_status($registry->push_blob('g/h', $both), 201, '... and another one without');
    is_status($registry->push_image('e/f', 'v1', [ random_bytes(100) ]), 201, 'an image of other layers');
    is(json($registry, 'rm', 'e/f', '--now')->{manifests}, 1, 'rm --now');
    is_status($registry->get('/v2/e/f/blobs/' . digest($_)), 404, '... a layer is not here any more') for $lost, $both, $needed;
    is_blob($registry, 'g/h', $_, '... but elsewhere') for $both, $needed;
    ok(wait_for(20, sub { !$registry->blob_files(digest($lost)) }), '... and its bytes go, if nobody else has it');
    is_status($registry->push_image('e/f', 'v1', [ $both, $needed ]), 201, 'it can be pushed here again');
    is_blob($registry, 'e/f', $_, '... and is here') for $both, $needed;
    my $alone = random_bytes(3000);
    is_status($registry->push_blob('i/j', $alone), 201, 'a repository that has nothing but a layer');
    is(json($registry, 'rm', 'i/j', '--now')->{manifests}, 0, '... is emptied');
    ok(wait_for(20, sub { !$registry->blob_files(digest($alone)) }), '... at once');
    json($registry, 'rm', $_, '--now') for 'e/f', 'g/h';
};

subtest 'without a server' => sub {
    $registry->stop;
    is_deeply([ map { $_->{name} } @{ json($registry, 'ls') } ], [ 'a/b', 'c/d' ], 'ls');
    is(json($registry, 'rm', 'c/d', '--now')->{tags}, 1, 'rm');
    is_deeply([ map { $_->{name} } @{ json($registry, 'du') } ], ['a/b'], 'du');
};

subtest 'wrong usage' => sub {
    is(Registry->try([ 'repo', @$_ ])->{exit}, 2, "repo @$_") for [], ['x'], ['rm'], [ 'rm', 'a', 'b' ], [ 'ls', '--now' ], [ 'du', 'A' ], [ 'ls', 'x' x 256 ];
};

finish();
