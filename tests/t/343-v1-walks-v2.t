# Fifty repositories, such as people have them, pushed by the second API: a client of the first finds all of them, tag by
# tag and image by image, and no error but where something is no image.
use v5.36;
use Registry limit => 400;
use JSON::PP ();
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);
my $count    = 0;

sub hex_of ($bytes) { return digest($bytes) =~ s/^sha256://r }

sub pushed ($response, $what) {
    return if $response->status == 201;
    fail("$what: " . $response->describe);
    BAIL_OUT('a push fails');
}

sub layer () { return tar_of([ 'file-' . ++$count, random_bytes(100 + $count) ]) }

# ---- what is pushed: by repository and tag the id that is to be seen, or that it is no image ----

my (%ids, %chains, %layers, %no_image);

# Notes what belongs to an image: its ids, itself first, and the layer of each.
sub note_image ($config, @layers) {
    my @chain;
    push @chain, @chain ? digest("$chain[-1] " . digest($_)) : digest($_) for @layers;
    s/^sha256:// for @chain;
    $chain[-1] = hex_of($config);
    $chains{ $chain[$_] } = [ reverse @chain[ 0 .. $_ ] ] for 0 .. $#chain;
    $layers{ $chain[$_] } = $layers[$_] for 0 .. $#chain;
    return $chain[-1];
}

sub push_image ($repository, $layers, %o) {
    my ($config, $manifest) = $registry->image_of($layers, note => 'image ' . ++$count, %o);
    for my $bytes (@$layers, $config) {
        my $there = $registry->head("/v2/$repository/blobs/" . digest($bytes));
        pushed($registry->push_blob($repository, $bytes), 'a blob') if $there->status != 200;
    }
    my $id = note_image($config, @$layers);
    for my $tag (@{ $o{tags} // [ digest($manifest) ] }) {
        pushed($registry->put_manifest($repository, $tag, $manifest), "$repository:$tag");
        $ids{$repository}{$tag} = $id if $tag !~ /:/;
    }
    return { id => $id, manifest => $manifest };
}

sub push_index ($repository, $tag, %images) {
    my @entries;
    for my $platform (sort keys %images) {
        my ($os, $architecture) = split m{/}, $platform;
        push @entries, { %{ Registry::Client->descriptor('manifest', $images{$platform}{manifest}) },
            platform => { os => $os, architecture => $architecture } };
    }
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@entries });
    pushed($registry->put_manifest($repository, $tag, $index), "$repository:$tag");
    return $ids{$repository}{$tag} = $images{'linux/amd64'}{id};
}

# An SBOM or a signature.
sub push_artifact ($repository, $tag, $type, $subject) {
    my $blob     = json_of({ what => $type, number => ++$count });
    my $artifact = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => $type,
        config => Registry::Client->descriptor('application/vnd.oci.empty.v1+json', '{}'),
        layers => [ Registry::Client->descriptor($type, $blob) ],
        subject => Registry::Client->descriptor('manifest', $subject->{manifest}),
    });
    pushed($registry->push_blob($repository, $_), 'a blob') for '{}', $blob;
    pushed($registry->put_manifest($repository, $tag, $artifact), "$repository:$tag");
    $no_image{ $ids{$repository}{$tag} = hex_of($artifact) } = 1;
    return;
}

my @bases    = map { [ map { layer() } 1 .. $_ ] } 1 .. 4;
my @runtimes = map { [ @{ $bases[ $_ % 4 ] }, layer() ] } 0 .. 5;
for my $n (0 .. 49) {
    my $repository = $n % 5 == 0 ? "tool-$n" : $n % 7 == 0 ? "deep/er/service-$n" : "team-" . $n % 3 . "/app_$n";
    my $runtime    = $runtimes[ $n % 6 ];
    my %kind       = (kind => $n % 2 ? 'docker' : 'oci');
    my $old        = push_image($repository, [ @$runtime, layer() ], %kind, tags => ['1.0']);
    my $app        = layer();
    my $new        = push_image($repository, [ @$runtime, $app ], %kind, tags => [ '1.1', 'stable', $n % 4 ? 'latest' : () ]);
    if ($n % 4 == 0) {
        my $arm = push_image($repository, [ layer(), layer() ]);
        push_index($repository, $_, 'linux/amd64' => $new, 'linux/arm64' => $arm) for 'latest', 'multi';
    }
    push_artifact($repository, 'sbom', 'application/spdx+json', $new) if $n % 3 == 0;
    push_artifact($repository, digest($new->{manifest}) =~ tr/:/-/r . '.sig', 'application/vnd.dev.cosign.simplesigning.v1+json', $new)
        if $n % 5 == 1;
}
my @repositories = sort keys %ids;
is(scalar @repositories, 50, 'fifty repositories are pushed');

# ---- a walk by the first API ----

sub json_at ($path) {
    my $got = $v1->get($path);
    return $got->json if $got->status == 200 && defined $got->json;
    fail("$path: " . $got->describe);
    return undef;
}

subtest 'what is listed' => sub {
    my $all = json_at('/v1/repositories') // {};
    my %want;
    for my $repository (@repositories) {
        $want{ $_ eq 'latest' ? $repository : "$repository:$_" } = $ids{$repository}{$_} for keys %{ $ids{$repository} };
    }
    is_deeply($all, \%want, 'all tags of all repositories');
    my $v2 = $registry->get('/v2/_catalog?n=100')->json;
    is_deeply($v2->{repositories}, \@repositories, 'the same repositories as by the second API');
    my @found = sort map { $_->{name} } @{ (json_at('/v1/search?q=app_&n=100') // {})->{results} // [] };
    is_deeply(\@found, [ grep { /app_/ } @repositories ], 'the search finds them');
    for my $repository (@repositories) {
        my $tags = json_at("/v1/repositories/$repository/tags");
        is_deeply($tags, $ids{$repository}, "$repository: its tags have the ids that their manifests say");
        is_deeply($registry->get("/v2/$repository/tags/list")->json->{tags}, [ sort keys %$tags ], '... and are those of the second API');
        my %images = map { $_ => 1 } map { @{ $chains{$_} // [$_] } } values %{ $ids{$repository} };
        is_deeply([ sort map { $_->{id} } @{ json_at("/v1/repositories/$repository/images") } ], [ sort keys %images ], '... its images');
    }
};

subtest 'each image' => sub {
    my @tagged = grep { $chains{$_} } map { values %{ $ids{$_} } } @repositories;
    my %seen;
    for my $id (grep { !$seen{$_}++ } map { @{ $chains{$_} } } @tagged) {
        my @chain = @{ $chains{$id} };
        my $json  = $v1->get_json($id);
        my $layer = $v1->get("/v1/images/$id/layer");
        my @wrong = (
            $json->status != 200                                           ? $json->describe  : (),
            (($json->json // {})->{id} // '') ne $id                       ? 'the id'         : (),
            (($json->json // {})->{parent} // '') ne ($chain[1] // '')     ? 'the parent'     : (),
            $layer->status != 200                                          ? $layer->describe : (),
            $layer->content ne $layers{$id}                                ? 'the layer'      : (),
            ($json->header('X-Docker-Size') // -1) != length $layers{$id} ? 'the size'       : (),
            "@{ json_at(qq(/v1/images/$id/ancestry)) // [] }" ne "@chain"  ? 'the ancestry'   : (),
        );
        is("@wrong", '', 'is as it was pushed: ' . substr $id, 0, 12) or last;
    }
    cmp_ok(scalar keys %seen, '>', 100, 'they are many');
};

subtest 'what is no image' => sub {
    cmp_ok(scalar keys %no_image, '>', 20, 'there is some');
    for my $id (sort keys %no_image) {
        my $got = $v1->get_json($id);
        is_v1_error($got, 404, "$id has no JSON");
        like($got->json->{error}, qr/is not an image/, '... and why');
    }
};

# ---- the same by npm's docker-registry-client, which not everybody has ----

my $PACKAGE = 'docker-registry-client@3.4.0';
my $tmp     = tempdir();

spew("$tmp/walk.js", <<'JS');
const v1 = require('docker-registry-client/lib/registry-client-v1.js');
const bunyan = require('bunyan');
const log = bunyan.createLogger({ name: 'test', level: 'fatal' });
const [address, ...names] = process.argv.slice(2);
const out = {};

function ask(client, method, options) {
    return new Promise((done) => {
        const answered = (error, value) => done(error ? { error: error.message, status: error.statusCode } : { value });
        options ? client[method](options, answered) : client[method](answered);
    });
}

(async () => {
    for (const name of names) {
        const client = v1.createClient({ name: `${address}/${name}`, scheme: 'http', log, insecure: true });
        const told = out[name] = { tags: await ask(client, 'listRepoTags'), images: await ask(client, 'listRepoImgs'), ids: {}, json: {} };
        for (const tag of Object.keys(told.tags.value || {}))
            told.ids[tag] = (await ask(client, 'getImgId', { tag })).value;
        for (const { id } of told.images.value || [])
            told.json[id] = { said: await ask(client, 'getImgJson', { imgId: id }), ancestry: await ask(client, 'getImgAncestry', { imgId: id }) };
        client.close();
    }
    process.stdout.write(JSON.stringify(out), () => process.exit(0));
})();
JS

subtest 'the npm client' => sub {
    my @missing = grep { !find_program($_) } 'node', 'npm';
    plan(skip_all => "not installed: @missing") if @missing;
    my $npm = run([ 'npm', 'install', '--prefix', $tmp, '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional', $PACKAGE ],
        cwd => $tmp, timeout => 180, env => { npm_config_cache => "$tmp/cache", npm_config_update_notifier => 'false' });
    plan(skip_all => "npm can't install $PACKAGE: " . substr $npm->{err}, 0, 300) if $npm->{exit} || $npm->{signal};
    my $ran = run([ 'node', '--no-deprecation', "$tmp/walk.js", '127.0.0.1:' . $registry->port, @repositories ], cwd => $tmp, timeout => 120);
    my $out = eval { JSON::PP->new->utf8->decode($ran->{out}) };
    ok($out, 'walks all') or return diag("exit $ran->{exit}: $ran->{err}");
    for my $repository (@repositories) {
        my $told = $out->{$repository};
        is_deeply($told->{tags}{value}, $ids{$repository}, "$repository: the tags");
        is_deeply($told->{ids}, $ids{$repository}, '... one by one');
        my @bad = grep { $no_image{$_} ? $told->{json}{$_}{said}{status} != 404 : ($told->{json}{$_}{said}{value}{id} // '') ne $_ }
            keys %{ $told->{json} };
        is("@bad", '', '... the JSON of each image, and none of what is no image');
        @bad = grep { !$no_image{$_} && "@{ $told->{json}{$_}{ancestry}{value} // [] }" ne "@{ $chains{$_} }" } keys %{ $told->{json} };
        is("@bad", '', '... their ancestry');
    }
};

is_tidy($registry);
finish();
