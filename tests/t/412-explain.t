# "docker-registry-server explain": what a digest is, what keeps it, and until when.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

my $OCI   = 'application/vnd.oci.image.manifest.v1+json';
my $INDEX = 'application/vnd.oci.image.index.v1+json';

sub explain_ ($registry, @args) { return Registry->try([ 'explain', @args, '--dir', $registry->dir ]) }

sub facts ($registry, $what) {
    my $ran = explain_($registry, $what, '--json');
    is($ran->{exit}, 0, "explain $what") or diag($ran->{err});
    return JSON::PP->new->decode($ran->{out});
}

sub keepers ($facts) { return join ' ', map { $_->{what} . ':' . ($_->{repository} // '') . ($_->{tag} ? "/$_->{tag}" : '') } @{ $facts->{kept_by} } }

my $TIME     = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
my $registry = Registry->start(args => [ '--lease', '1h', '--history-keep', '2h', '--gc-untagged', '3h' ]);
my ($layer, $lone) = (random_bytes(3000), random_bytes(500));
my ($config, $manifest) = $registry->image_of([$layer]);
is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image');
is_status($registry->push_image('c/d', 'v1', [$layer]), 201, '... in two repositories');
is_status($registry->push_blob('a/b', $lone), 201, 'a blob');

subtest 'an immutable tag' => sub {
    my $fixed = Registry->start(args => [ '--immutable', 'x/*:v*' ]);
    is_status($fixed->push_image('x/y', $_, [$layer]), 201, "x/y:$_") for 'v1', 'latest';
    my $out = explain_($fixed, 'x/y:v1')->{out};
    like($out, qr/^  named by tag x\/y:v1, which is immutable \(--immutable x\/\*:v\*\)$/m, 'is told');
    like($out, qr/^  named by tag x\/y:latest$/m, '... and another one is not');
    my %pattern = map { ($_->{tag} // '') => $_->{immutable} } @{ facts($fixed, 'x/y:v1')->{kept_by} };
    is($pattern{v1}, 'x/*:v*', '... also as JSON');
    is($pattern{latest}, undef, '... likewise');
    $fixed->stop;
};

subtest 'an image' => sub {
    for my $name ('a/b:v1', 'a/b@' . digest($manifest), digest($manifest)) {
        my $facts = facts($registry, $name);
        is($facts->{is}, $registry->type_of($manifest), "... $name: a manifest");
        is($facts->{size}, length $manifest, '... its size');
        is(keepers($facts), 'repository:a/b repository:c/d tag:a/b/v1 tag:c/d/v1', '... where it is, and its tags');
        is($facts->{manifests}[0]{verdict}, 'stays as long as tag v1 names it', '... why it stays');
    }
    like(explain_($registry, 'a/b:v1')->{out}, qr/^sha256:\w+: \S+, \d+ bytes\n  is a manifest of a\/b\n  is a manifest of c\/d\n  named by tag a\/b:v1\n  named by tag c\/d:v1\nin a\/b: stays as long as tag v1 names it\nin c\/d: stays/, 'as text');
    my $facts = facts($registry, digest($layer));
    is("$facts->{is} $facts->{size}", 'layer 3000', 'a layer');
    is(keepers($facts), 'manifest:a/b manifest:c/d', '... which two manifests need');
    is($facts->{counts}{member}, 2, '... and two repositories serve');
    is(facts($registry, digest($config))->{is}, 'config', 'a config');
};

subtest 'what nothing needs' => sub {
    my $facts = facts($registry, digest($lone));
    is("$facts->{is} $facts->{size}", 'blob 500', 'a blob');
    is(keepers($facts), '', '... which nothing keeps');
    like($facts->{verdict}, qr/^nothing needs it; its lease keeps it until \Q$facts->{leased_until}\E$/, '... but its lease');
    my $old = $registry->push_image('a/b', 'v2', [ random_bytes(10) ])->header('Docker-Content-Digest');
    is_status($registry->delete('/v2/a/b/manifests/v2'), 202, 'an image loses its tag');
    like(facts($registry, $old)->{manifests}[0]{verdict}, qr/^no tag names it; the history of tag v2 keeps it until $TIME$/, '... and its history keeps it');
    my ($other, $lonely) = $registry->push_parts('a/b');
    is_status($registry->put_manifest('a/b', digest($lonely), $lonely), 201, 'an image never had a tag');
    like(facts($registry, digest($lonely))->{manifests}[0]{verdict}, qr/^nothing reaches it since $TIME; it goes after $TIME \(--gc-untagged\)$/, '... and goes');
    is_status($registry->delete("/v2/a/b/manifests/$old"), 202, 'the other one is deleted');
    my $deleted = facts($registry, $old);
    is($deleted->{is}, 'deleted manifest', '... and can be brought back');
    cmp_ok($deleted->{size}, '>', 300, '... with its bytes');
    like(keepers($deleted), qr/history:a\/b\/v2 .*deleted:a\/b/, '... because of its history');
};

subtest 'an index, a subject, a signature by a tag' => sub {
    my ($c1, $part) = $registry->push_parts('x/y');
    is_status($registry->put_manifest('x/y', digest($part), $part), 201, 'a part');
    my $type  = $registry->type_of($part);
    my $index = qq({"schemaVersion":2,"mediaType":"$INDEX","manifests":[{"mediaType":"$type","size":${\ length $part},"digest":"${\ digest($part)}"}]});
    is_status($registry->put("/v2/x/y/manifests/all", body => $index, headers => { 'Content-Type' => $INDEX }), 201, '... of an index');
    is(facts($registry, digest($part))->{manifests}[0]{verdict}, 'stays as long as index ' . digest($index), 'a part stays with its index');
    is_status($registry->push_blob('x/y', '{}'), 201, 'a config');
    my $referrer = qq({"schemaVersion":2,"mediaType":"$OCI","artifactType":"text/x","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"${\ digest('{}')}"},)
        . qq("layers":[],"subject":{"mediaType":"$INDEX","size":${\ length $index},"digest":"${\ digest($index)}"}});
    is_status($registry->put('/v2/x/y/manifests/' . digest($referrer), body => $referrer, headers => { 'Content-Type' => $OCI }), 201, 'a referrer');
    is(facts($registry, digest($referrer))->{manifests}[0]{verdict}, 'stays as long as its subject ' . digest($index), 'a referrer stays with its subject');
    is(facts($registry, 'x/y:all')->{counts}{referrer}, 1, '... which knows it');
    my $tag = digest($referrer) =~ s/^sha256:/sha256-/r . '.sig';
    is_status($registry->delete('/v2/x/y/manifests/' . digest($index)), 202, 'the index goes');
    is_status($registry->put("/v2/x/y/manifests/$tag", body => $part, headers => { 'Content-Type' => $type }), 201, 'a tag with a digest in its name');
    is(facts($registry, digest($referrer))->{manifests}[0]{verdict}, "stays as long as there is tag $tag, which names it in its name", 'keeps that');
};

subtest 'a layer in many images' => sub {
    for my $n (1 .. 25) {
        my ($c, $m) = $registry->image_of([$layer], note => $n);
        $registry->push_blob('many/one', $_) for $c, $layer;
        $registry->put_manifest('many/one', "t$n", $m);
    }
    my $facts = facts($registry, digest($layer));
    is($facts->{counts}{manifest}, 27, 'all are counted');
    is(scalar(grep { $_->{what} eq 'manifest' } @{ $facts->{kept_by} }), 10, '... ten are listed');

    like(explain_($registry, digest($layer))->{out}, qr/^  \.\.\. and 17 more of these$/m, '... and the others are counted');
};

subtest 'the first API' => sub {
    my $id   = 'ab' x 32;
    my $json = qq({"id":"$id"});
    is_status($registry->put("/v1/images/$id/json", body => $json), 200, 'an image');
    my $facts = facts($registry, $id);
    is($facts->{is}, 'image of the first API', 'is known by its id');
    like($facts->{verdict}, qr/its lease keeps it until/, '... and has a lease');
};

subtest 'without a server, and wrong usage' => sub {
    $registry->stop;
    is(facts($registry, 'a/b:v1')->{is}, $registry->type_of($manifest), 'without a server');
    my $none = 'sha256:' . '0' x 64;
    is_refused(explain_($registry, $none), qr/\Q$none\E isn't here/, 'a digest that isn\'t here');
    is_refused(explain_($registry, 'a/b:none'), qr/repository a\/b has no tag none/, 'a tag');
    is_refused(explain_($registry, 'no/thing:x'), qr/there is no repository no\/thing/, 'a repository');
    is(Registry->try([ 'explain', @$_ ])->{exit}, 2, "explain @$_") for [], ['a/b'], ['A:b'], ['sha256:12'], [ 'a:b', 'c:d' ], ['a@b'];
};

finish();
