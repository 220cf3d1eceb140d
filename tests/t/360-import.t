# "docker-registry-server import": all that a docker-registry has, beside a running server and without
# one; nothing is copied on one file system, and what is damaged is said and left out.
# IMPORT_REPOSITORIES=200 makes it as many.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Distribution;
use Registry::Tools;
use Test::More;

need('docker-registry');
my $REPOSITORIES = $ENV{IMPORT_REPOSITORIES} // 20;
my $LINE         = qr/^imported (\d+) repositories, (\d+) tags, (\d+) blobs \((\d+) linked, (\d+) copied\)\n\z/;

# Runs it on a registry's directory.
sub import_of ($registry, $path, @args) { return Registry->try([ 'import', $path, '--dir', $registry->dir, @args ], timeout => 200) }

# What its last line says: [R, T, B, L, C].
sub counts ($ran) { return [ $ran->{out} =~ $LINE ] }

# ---- a registry with all kinds of things ----

# It runs as we do: what belongs to another user than root or the registry's is copied (361).
my $other = Registry::Distribution->start;
my %tags;         # repository => { tag => digest }
my %revisions;    # repository => { digest => bytes }
my %blobs;        # digest => 1

sub push_to ($repository, $bytes) {
    $other->push_blob($repository, $bytes)->status == 201 or die "push of a blob";
    $blobs{ digest($bytes) } = 1;
    return;
}

sub manifest_to ($repository, $document, @names) {
    for my $name (@names ? @names : digest($document)) {
        my $response = $other->put_manifest($repository, $name, $document);
        $response->status == 201 or die $response->describe;
        $tags{$repository}{$name} = digest($document) if @names;
    }
    $revisions{$repository}{ digest($document) } = $document;
    return;
}

my @shared = map { random_bytes(2000) } 1 .. 3;
my $large  = random_bytes(3_000_000);

sub image_to ($repository, $note, @names) {
    my @layers = (@shared, random_bytes(500));
    push @layers, $large if $note eq '0';
    my ($config, $manifest) = $other->image_of(\@layers, note => $note, kind => @names % 2 ? 'docker' : 'oci');
    push_to($repository, $_) for @layers, $config;
    manifest_to($repository, $manifest, @names);
    return $manifest;
}

sub fill ($i) {
    my $repository = $i % 3 ? "team$i/app" : "one/two/three/app-$i";
    my $image = image_to($repository, $i, 'v1', 'latest');
    my $second = image_to($repository, "$i again");
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => [ map { $other->descriptor('manifest', $_) } $image, $second ] });
    $index =~ s/\Q$Registry::Client::TYPE{manifest}\E/$Registry::Client::TYPE{docker_manifest}/ if $image =~ /docker/;
    manifest_to($repository, $index, 'multi') if $i % 2;
    push_to($repository, '{}') if $i % 4 == 0;
    my $artifact = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, config => { %{ $other->descriptor('text/x-config', '{}') } },
        layers => [ $other->descriptor('text/plain', $shared[0]) ], subject => $other->descriptor('manifest', $second), annotations => { of => "$i" },
    });
    manifest_to($repository, $artifact) if $i % 4 == 0;
    return;
}
fill($_) for 0 .. $REPOSITORIES - 1;
# A document without a mediaType, as OCI allows.
my ($config, $plain) = $other->image_of([ $shared[0] ], note => 'no type');
$plain =~ s/"mediaType":"\Q$Registry::Client::TYPE{manifest}\E",// or die;
push_to('plain', $_) for $shared[0], $config;
$other->put_manifest('plain', 'v1', $plain, $Registry::Client::TYPE{manifest})->status == 201 or die;
$tags{plain}{v1} = digest($plain);
$revisions{plain}{ digest($plain) } = $plain;
# Deleted, and so no more part of it.
my $gone = image_to('plain', 'gone');
is_status($other->delete('/v2/plain/manifests/' . digest($gone)), 202, 'a manifest is deleted there');
delete $revisions{plain}{ digest($gone) };

my $n_tags = 0;
$n_tags += keys %$_ for values %tags;

# The same in the registry: every tag and revision with its bytes, and every part of them.
sub is_all_there ($registry, $name, $prefix = '') {
    my (@wrong, %parts);
    for my $repository (sort keys %revisions) {
        for my $tag (sort keys %{ $tags{$repository} }) {
            my $response = $registry->get("/v2/$prefix$repository/manifests/$tag");
            my $digest   = $tags{$repository}{$tag};
            push @wrong, "$repository:$tag" if $response->status != 200 || digest($response->content) ne $digest || $response->header('Docker-Content-Digest') ne $digest;
        }
        for my $digest (sort keys %{ $revisions{$repository} }) {
            my $response = $registry->get("/v2/$prefix$repository/manifests/$digest");
            push @wrong, "$repository\@$digest" if $response->status != 200 || $response->content ne $revisions{$repository}{$digest};
            $parts{"$repository/blobs/$_"} = 1 for grep { $blobs{$_} } $revisions{$repository}{$digest} =~ /"digest":"(sha256:\w+)"/g;
        }
        my @listed = @{ $registry->get("/v2/$prefix$repository/tags/list")->json->{tags} // [] };
        push @wrong, "tags of $repository: @listed" if "@listed" ne join ' ', sort keys %{ $tags{$repository} };
    }
    for my $part (sort keys %parts) {
        my ($digest) = $part =~ /(sha256:.*)/;
        my $response = $registry->get("/v2/$prefix$part");
        push @wrong, $part if $response->status != 200 || digest($response->content) ne $digest;
    }
    splice @wrong, 10 if @wrong > 10;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(!@wrong, $name) || diag(join "\n", @wrong);
}

# Blobs that some manifest there refers to.
my %used = map { $_ => 1 } grep { $blobs{$_} } map { /"digest":"(sha256:\w+)"/g } map { values %$_ } values %revisions;

sub inode ($path) { return (stat $path)[1] // 0 }

my $registry = Registry->start(args => [ '--on-tag', 'echo heard of $1' ]);

subtest 'beside a running server' => sub {
    my $ran = import_of($registry, $other->dir);
    works($ran, 'import');
    is($ran->{err}, '', '... says nothing in a pipe');
    is_deeply(counts($ran), [ $REPOSITORIES + 1, $n_tags, scalar keys %used, scalar keys %used, 0 ], '... but what it did: nothing was copied');
    is_all_there($registry, 'all is there, byte for byte');
    my @other = grep { my ($file) = $registry->blob_files($_); inode("$registry->{dir}/$file") != inode($other->blob_file($_)) } sort keys %used;
    is_deeply(\@other, [], 'and each blob is the very file');
    my $owner = (stat $other->dir)[4];
    is(scalar(grep { my @is = stat $other->blob_file($_); $is[2] % 01000 != 0644 || $is[4] != $owner } keys %used), 0, '... which is as it was');
    is($registry->get('/v2/plain/manifests/v1')->header('Content-Type'), $Registry::Client::TYPE{manifest}, 'a document without a type has the right one');
    is_error($registry->get('/v2/plain/manifests/' . digest($gone)), 404, 'MANIFEST_UNKNOWN', 'what was deleted there is not here');
    my ($with) = grep { !/plain/ && $revisions{$_} } map { $_ % 4 ? () : $_ % 3 ? "team$_/app" : "one/two/three/app-$_" } 4 .. 8;
    my ($subject) = map { /"subject":\{[^}]*"digest":"([^"]+)"/ } values %{ $revisions{$with} };
    is(scalar @{ $registry->get("/v2/$with/referrers/$subject")->json->{manifests} }, 1, 'what refers to an image is listed');
};

subtest 'again' => sub {
    my $before = join ' ', $registry->files('layers');
    my $ran = import_of($registry, $other->dir);
    works($ran, 'import again');
    is_deeply(counts($ran), [ $REPOSITORIES + 1, $n_tags, scalar keys %used, 0, 0 ], '... has nothing to do');
    is(join(' ', $registry->files('layers')), $before, '... and does nothing');
    my $new = image_to('plain', 'new', 'v2');
    manifest_to('plain', $new, 'v1');
    my $more = import_of($registry, $other->dir . '/docker');
    works($more, 'what has come since (and from another level)');
    $n_tags++;
    $used{$_} = 1 for grep { $blobs{$_} } $new =~ /"digest":"(sha256:\w+)"/g;
    is_deeply(counts($more), [ $REPOSITORIES + 1, $n_tags, scalar keys %used, 2, 0 ], '... is fetched alone');
    is_all_there($registry, '... and a tag that has moved there moves here');
};

subtest 'below a name' => sub {
    my $ran = import_of($registry, $other->dir . '/docker/registry/v2', '--prefix', 'old/stuff');
    works($ran, '--prefix');
    is_deeply(counts($ran), [ $REPOSITORIES + 1, $n_tags, scalar keys %used, 0, 0 ], '... the blobs are here already');
    is_all_there($registry, '... all is there', 'old/stuff/');
};
is($registry->output =~ tr/\n//, 1, 'no event was told, and no hook run');
is_deeply([ $registry->files('uploads') ], [], 'nothing is left in uploads/');

subtest 'without a server' => sub {
    my $there = Registry->start;
    $there->stop;
    my $ran = import_of($there, $other->dir);
    works($ran, 'import');
    is_deeply(counts($ran), [ $REPOSITORIES + 1, $n_tags, scalar keys %used, scalar keys %used, 0 ], '... the same');
    my $again = Registry->start(dir => $there->dir);
    is_all_there($again, 'all is there when it starts');
    is_status($again->push_image('plain', 'mine', [ $large ]), 201, 'and it takes pushes');
    $again->stop;
};

finish();
