# "docker-registry-server gc": what goes, what waits for which lease, and what a tag, an index or a subject reaches stays.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

my $INDEX = 'application/vnd.oci.image.index.v1+json';
my $OCI   = 'application/vnd.oci.image.manifest.v1+json';

sub gc ($registry, @args) { return Registry->try([ 'gc', '--dir', $registry->dir, @args ]) }

sub report ($registry, @args) {
    my $ran = gc($registry, '--json', @args);
    is($ran->{exit}, 0, "gc @args") or diag($ran->{err});
    return JSON::PP->new->decode($ran->{out});
}

# The digests of one kind and state.
sub items ($report, $what, $state) { return [ sort map { $_->{digest} } grep { $_->{what} eq $what && $_->{state} eq $state } @{ $report->{items} } ] }

sub push_document ($registry, $repository, $tag, $document, $type) {
    my $path = "/v2/$repository/manifests/" . ($tag // digest($document));
    return $registry->put($path, body => $document, headers => { 'Content-Type' => $type });
}

sub has ($registry, $repository, $digest) { return $registry->head("/v2/$repository/manifests/$digest", headers => { Accept => "$OCI, $INDEX" })->status == 200 }

subtest 'manifests without tags, beside a server' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '0', '--lease', '4s', '--gc-interval', '1s' ]);
    my %layer = map { $_ => random_bytes(3000) } qw(old new part signed attested);
    my %manifest;
    for my $name (sort keys %layer) {
        my ($config, $manifest) = $registry->image_of([ $layer{$name} ]);
        $manifest{$name} = $manifest;
        is_status($registry->push_blob('a/b', $_), 201, "parts of $name") for $config, $layer{$name};
    }
    is_status(push_document($registry, 'a/b', 'v1', $manifest{old}, $OCI), 201, 'an image');
    is_status(push_document($registry, 'a/b', 'v1', $manifest{new}, $OCI), 201, '... from which its tag moves on');
    is_status(push_document($registry, 'a/b', undef, $manifest{part}, $OCI), 201, 'a part of an index');
    my $index = qq({"schemaVersion":2,"mediaType":"$INDEX","manifests":[{"mediaType":"$OCI","size":${\ length $manifest{part}},"digest":"${\ digest($manifest{part})}"}]});
    is_status(push_document($registry, 'a/b', 'all', $index, $INDEX), 201, '... which has a tag');
    is_status(push_document($registry, 'a/b', undef, $manifest{signed}, $OCI), 201, 'an image that is signed by the scheme of tags');
    my ($signature) = map { s/^sha256:/sha256-/r . '.sig' } digest($manifest{signed});
    is_status(push_document($registry, 'a/b', $signature, $manifest{attested}, $OCI), 201, '... its signature');
    is_status($registry->push_blob('a/b', '{}'), 201, 'a config');
    my $referrer = sub ($subject, $note) {
        my $size = length $subject;
        return qq({"schemaVersion":2,"mediaType":"$OCI","artifactType":"text/x","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"${\ digest('{}')}"},)
            . qq("layers":[],"subject":{"mediaType":"$OCI","size":$size,"digest":"${\ digest($subject)}"},"annotations":{"n":"$note"}});
    };
    my %referrer = (new => $referrer->($manifest{new}, 'kept'), old => $referrer->($manifest{old}, 'goes'));
    is_status(push_document($registry, 'a/b', undef, $referrer{$_}, $OCI), 201, "a referrer of $_") for sort keys %referrer;

    my $young = report($registry, '--untagged', '0s', '--dry-run');
    ok(!@{ items($young, 'manifest', 'would go') }, 'what was just pushed stays for a lease');
    is_deeply(items($young, 'manifest', 'waits'), [ digest($manifest{old}) ], '... and is said to wait') or diag(explain($young));
    my @go = sort map { digest($_) } $manifest{old}, $referrer{old};
    ok(wait_for(20, sub { "@{ items(report($registry, '--untagged', '0s', '--dry-run'), 'manifest', 'would go') }" eq "@go" }), '... until it is over');
    my $nothing = report($registry);
    is($nothing->{gone}{manifests}, 0, 'without --untagged no manifest goes');
    ok(!@{ items(report($registry, '--untagged', '1h'), 'manifest', 'gone') }, 'none is an hour old');
    my $dry = report($registry, '--untagged', '0s', '--dry-run');
    is_deeply(items($dry, 'manifest', 'would go'), \@go, 'what would go: the old image, and its referrer');
    ok(has($registry, 'a/b', $_), '... and is there') for @go;
    ok((grep { $_ eq digest($layer{old}) } @{ items($dry, 'blob', 'waits') }), '... its layer would wait for a lease');
    my $text = gc($registry, '--untagged', '0s', '--dry-run');
    like($text->{out}, qr/^manifest +[\d.]+ bytes +a\/b\@\Q$_\E$/m, 'a line for people') for @go;
    like($text->{out}, qr/^would go: 2 manifests, 0 images of the first API, 0 blobs, 0 files; 0 bytes/m, '... and a sum');
    my $done = report($registry, '--untagged', '0s');
    is_deeply(items($done, 'manifest', 'gone'), \@go, 'the same goes');
    ok(!has($registry, 'a/b', $_), '... and is gone') for @go;
    ok(has($registry, 'a/b', digest($_)), 'what a tag, its name, an index or a subject reaches is there') for $manifest{new}, $manifest{part}, $index, $manifest{signed}, $manifest{attested}, $referrer{new};
    my ($wait) = grep { $_->{digest} eq digest($layer{old}) } @{ $done->{items} };
    is($wait->{state}, 'waits', 'the layer waits for the end of its lease');
    like($wait->{until}, qr/^\d{4}-\d\d-\d\dT/, '... and it is said until when');
    ok(wait_for(10, sub { !$registry->blob_files(digest($layer{old})) }), '... and goes then');
    is_status($registry->delete("/v2/a/b/manifests/$signature"), 202, 'the signature loses its tag');
    my @rest = sort map { digest($_) } $manifest{signed}, $manifest{attested};
    is_deeply(items(report($registry, '--untagged', '0s'), 'manifest', 'gone'), \@rest, '... and goes with the image that it names');
    is_blob($registry, 'a/b', $layer{$_}, "the layer of $_ is there") for qw(new part);
};

subtest 'without a server: exactly what the dry run said' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '0', '--lease', '20s' ]);
    my ($used, @unused) = map { random_bytes(5000 + $_) } 1 .. 4;
    is_status($registry->push_image('a/b', 'v1', [$used]), 201, 'an image');
    is_status($registry->push_blob('a/b', $_), 201, 'a blob that no manifest names') for @unused;
    $registry->stop;
    my $waits = report($registry, '--dry-run');
    my @all   = sort map { digest($_) } @unused;
    is_deeply(items($waits, 'blob', 'waits'), \@all, 'they wait for their leases') or diag(explain($waits));
    is($waits->{waits}{bytes}, 5002 + 5003 + 5004, '... with so many bytes');
    ok(wait_for(60, sub { !report($registry, '--dry-run')->{waits}{blobs} }), '... which end');
    my $dry = report($registry, '--dry-run');
    is(scalar(grep { -f } map { $registry->dir . "/$_" } map { $registry->blob_files($_) } @all), 3, 'a dry run changes nothing');
    my $done = report($registry);
    is_deeply(items($dry,  'blob', 'would go'), \@all, 'a dry run says what would go');
    is_deeply(items($done, 'blob', 'gone'),     \@all, '... and that goes');
    is_deeply($dry->{gone}, $done->{gone}, '... with the same sums');
    is($done->{gone}{bytes}, 5002 + 5003 + 5004, '... of bytes');
    is($done->{gone}{files}, 3, '... and files');
    is(scalar(map { $registry->blob_files($_) } @all), 0, 'the files are gone when the command ends');
    is(scalar $registry->blob_files(digest($used)), 1, 'what an image needs is there');
    is(report($registry)->{gone}{blobs}, 0, 'a second time nothing goes');
};

subtest '--gc-untagged' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '0', '--lease', '1s', '--gc-interval', '1s', '--gc-untagged', '2s' ]);
    my ($one, $two, $three) = map { random_bytes(1000 + $_) } 1 .. 3;
    my $old = $registry->push_image('a/b', 'v1', [$one])->header('Docker-Content-Digest');
    my $left = $registry->push_image('a/b', 'v2', [$two])->header('Docker-Content-Digest');
    is_status($registry->push_image('a/b', 'v1', [$three]), 201, 'a tag moves on');
    is_status($registry->delete('/v2/a/b/manifests/v2'), 202, 'a tag is deleted');
    ok(has($registry, 'a/b', $old), 'what it named is there');
    ok(wait_for(20, sub { !has($registry, 'a/b', $old) && !has($registry, 'a/b', $left) }), '... and is collected later');
    ok(wait_for(20, sub { !$registry->blob_files(digest($one)) }), '... with its layer');
    is_status($registry->get('/v2/a/b/manifests/v1'), 200, 'what has a tag stays');
    my $kept = $registry->push_image('a/b', 'v3', [$one])->header('Docker-Content-Digest');
    ok(has($registry, 'a/b', $kept), 'it can be pushed again');
};

subtest 'a push by digest of what is there' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '0', '--lease', '1s' ]);
    my ($config, $manifest) = $registry->push_parts('a/b');
    my $digest = digest($manifest);
    my $would  = sub { return items(report($registry, '--untagged', '5s', '--dry-run'), 'manifest', 'would go') };
    is_status(push_document($registry, 'a/b', undef, $manifest, $OCI), 201, 'an image without a tag');
    ok(wait_for(30, sub { "@{ $would->() }" eq $digest }), '... becomes old enough to go');
    for my $try (1 .. 10) {
        my $begin = time;
        is_status($registry->push_blob('a/b', $config), 201, 'its config again');
        is_status(push_document($registry, 'a/b', undef, $manifest, $OCI), 201, '... and the image again');
        my $go = $would->();
        next if time > $begin + 3; # a slow machine: it may be old enough again
        is_deeply($go, [], '... which is young again');
        last;
    }
    my ($told) = @{ JSON::PP->new->decode(Registry->try([ 'explain', '--json', '--dir', $registry->dir, $digest ])->{out})->{manifests} };
    my $pushed = $told->{pushed};
    is_status(push_document($registry, 'a/b', 'v1', $manifest, $OCI), 201, 'it gets a tag');
    is_status(push_document($registry, 'a/b', undef, $manifest, $OCI), 201, '... and is pushed by digest again');
    ($told) = @{ JSON::PP->new->decode(Registry->try([ 'explain', '--json', '--dir', $registry->dir, $digest ])->{out})->{manifests} };
    is($told->{pushed}, $pushed, '... which changes nothing, because of the tag');
};

subtest 'a lease' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '0', '--lease', '1h' ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes($_) ]), 201, 'a tag is set') for 1000, 2000;
    like(gc($registry, '--untagged', '0s')->{out}, qr/^manifest .*a\/b\@\S+ until \S+Z \(lease\)$/m, 'what it named waits for its lease');
};

subtest 'the history of a tag' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '4s', '--lease', '1s' ]);
    my $old = $registry->push_image('a/b', 'v1', [ random_bytes(1000) ])->header('Docker-Content-Digest');
    is_status($registry->delete('/v2/a/b/manifests/v1'), 202, 'a tag is deleted');
    my $report = report($registry, '--untagged', '0s');
    my ($item) = grep { $_->{digest} eq $old } @{ $report->{items} };
    is("$item->{state} $item->{for}", 'waits history', 'what it named waits for the end of its history');
    like(gc($registry, '--untagged', '0s')->{out}, qr/^manifest .*a\/b\@\Q$old\E until \S+Z \(history of a tag\)$/m, '... as the list says');
    ok(has($registry, 'a/b', $old), '... and is there');
    ok(wait_for(20, sub { report($registry, '--untagged', '0s'); !has($registry, 'a/b', $old) }), '... and then it goes');
};

subtest 'deleted manifests that can come back' => sub {
    my $registry = Registry->start(args => [ '--history-keep', '1h', '--lease', '1s' ]);
    my ($shared, $own, $part) = map { random_bytes($_) } 1000, 2000, 3000;
    my $gone = $registry->push_image('a/b', 'v1', [ $shared, $own ])->header('Docker-Content-Digest');
    is_status($registry->push_image('a/b', 'v2', [$shared]), 201, 'an image beside it');
    my ($config, $manifest) = $registry->image_of([$part]);
    is_status($registry->push_blob('a/c', $_), 201, 'parts of an image') for $config, $part;
    is_status(push_document($registry, 'a/c', undef, $manifest, $OCI), 201, '... which an index has');
    my $index = qq({"schemaVersion":2,"mediaType":"$INDEX","manifests":[{"mediaType":"$OCI","size":${\ length $manifest},"digest":"${\ digest($manifest)}"}]});
    is_status(push_document($registry, 'a/c', 'all', $index, $INDEX), 201, '... that has a tag');
    is_status($registry->delete("/v2/a/b/manifests/$gone"), 202, 'an image is deleted, as skopeo delete does it');
    is_status($registry->delete("/v2/a/c/manifests/${\ digest($_)}"), 202, '... the index and its part, too') for $index, $manifest;

    my $report = report($registry, '--dry-run');
    is_deeply(items($report, 'manifest', 'waits'), [ sort $gone, digest($index), digest($manifest) ], 'they wait') or diag(explain($report));
    my %blob = map { $_->{digest} => "$_->{state} $_->{for}" } grep { $_->{what} eq 'blob' } @{ $report->{items} };
    is($blob{ digest($_) }, 'waits history', 'so does a layer that nothing else needs') for $own, $part;
    ok(!$blob{ digest($shared) }, '... and no other one');
    my $text = gc($registry)->{out};
    like($text, qr/^wait: 3 manifests, .*; (?:5|6)\.\d kB/m, 'their bytes are counted');
    like($text, qr/^manifest +\S+ \S+ +a\/b\@\Q$gone\E until \S+Z \(history of a tag\)$/m, '... and a line tells what for');
    is(Registry->try([ 'tag', 'restore', 'a/b:v1', '--dir', $registry->dir ])->{exit}, 0, 'one comes back');
    ok(!(grep { $_ eq $gone } @{ items(report($registry, '--dry-run'), 'manifest', 'waits') }), '... and waits no more');
    is_status(push_document($registry, 'a/c', undef, $manifest, $OCI), 201, 'another one is pushed again');
    is_deeply(items(report($registry, '--dry-run'), 'manifest', 'waits'), [ digest($index) ], '... and waits no more');
    is(Registry->try([ 'repo', 'rm', 'a/c', '--now', '--dir', $registry->dir ])->{exit}, 0, 'the others are removed for good');
    ok(wait_for(20, sub { !@{ report($registry, '--dry-run')->{items} } }), '... and nothing waits');
    is_blob($registry, 'a/b', $own, 'what came back is whole');
};

subtest 'wrong usage' => sub {
    my $empty = tempdir();
    is(Registry->try([ 'gc', '--untagged', 'x' ])->{exit}, 2, 'no time');
    is(Registry->try([ 'gc', 'x' ])->{exit}, 2, 'a word');
    is_refused(Registry->try([ 'gc', '--dir', $empty ]), qr/there is no registry in \Q$empty\E/, 'a directory without a registry');
};

finish();
