# What the first API has pushed, the second serves: a manifest as soon as the layers are looked into, the same on
# each server; and the first goes on to see what it pushed.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use JSON::PP ();
use Test::More;

# Of the four recorded images, as these bytes follow from them.
my $MANIFEST = 'sha256:e079597dfcc6c3e8278b839e589c54140201f7bf8ae44aa3435307425af937b9';
my $CONFIG   = 'sha256:2db44504a1c91605c0908f50acdcb0d745895d7a16f5d57543e9d696a6cb0eac';

my @args     = ('--lease', '2s', '--history-keep', '0', '--gc-interval', '1s', '--upload-expiry', '5s');
my $registry = Registry->start(args => \@args);
my $v1       = Registry::V1->new($registry);
my @recorded = map { image($_) } qw(A B C E);

sub pushed ($api, $repository, $tag, @images) {
    my @wrong = grep { $_->[1]->status != $_->[2] } $api->push_images($repository, $tag, @images);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(!@wrong, "$repository:$tag is pushed by the first API") or diag($wrong[0][0] . ': ' . $wrong[0][1]->describe);
}

sub is_converted ($client, $repository, $tag) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(wait_for(60, sub { $client->head("/v2/$repository/manifests/$tag")->status == 200 }), "$repository:$tag has a manifest");
    return $client->head("/v2/$repository/manifests/$tag")->header('Docker-Content-Digest');
}

# The bytes are there for as long as anybody is at them, and a minute more; the records go.
sub is_gone ($what, @images) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(wait_for(60, sub { !grep { $v1->get_json($_->{id})->status != 404 } @images }), $what);
}

subtest 'the recorded images' => sub {
    pushed($v1, 'foo/bar', 'latest', @recorded);
    is(is_converted($registry, 'foo/bar', 'latest'), $MANIFEST, '... of a digest that everybody knows');
    my $manifest = $registry->get('/v2/foo/bar/manifests/latest');
    is_status($manifest, 200, 'GET by tag', 'Docker-Content-Digest' => $MANIFEST,
        'Content-Type' => 'application/vnd.docker.distribution.manifest.v2+json');
    is(digest($manifest->content), $MANIFEST, '... these bytes');
    is_status($registry->get("/v2/foo/bar/manifests/$MANIFEST"), 200, 'GET by digest');
    is($manifest->json->{config}{digest}, $CONFIG, 'the config has a digest that everybody knows');
    is_status(my $config = $registry->get("/v2/foo/bar/blobs/$CONFIG"), 200, 'GET config');
    is(length $config->content, $manifest->json->{config}{size}, '... of the size in the manifest');
    is_deeply($config->json->{config}, { Cmd => ['/bin/true'] }, '... with the config of the topmost image');
    is(scalar @{ $config->json->{history} }, 4, '... and a line of history for each');
    my @layers = @{ $manifest->json->{layers} };
    for my $i (0 .. 3) {
        is_status(my $blob = $registry->get("/v2/foo/bar/blobs/$layers[$i]{digest}"), 200, "GET layer $i");
        is($blob->content, $recorded[$i]{layer}, '... as it was pushed');
    }
    is_deeply($registry->get('/v2/foo/bar/tags/list')->json->{tags}, ['latest'], 'tags/list');
    is_deeply($registry->get('/v2/_catalog')->json->{repositories}, ['foo/bar'], '_catalog');
};

sub first_sees ($repository, $tag, @images) {
    my $pulled = $v1->pull_images($repository, $tag);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply([ map { "$_->{id} $_->{json}" } @{ $pulled->{images} } ], [ map { "$_->{id} $_->{json}" } @images ],
        "$repository:$tag by the first API: ids and JSONs as they were pushed");
    is_deeply([ map { digest($_->{layer}) } @{ $pulled->{images} } ], [ map { digest($_->{layer}) } @images ], '... and layers');
}

subtest 'the first API sees no change' => sub {
    first_sees('foo/bar', 'latest', @recorded);
    is($v1->get('/v1/repositories/foo/bar/tags')->content, qq({"latest":"$recorded[3]{id}"}), 'the list of tags');
    is($v1->get('/v1/repositories')->content,              qq({"foo/bar":"$recorded[3]{id}"}), 'the list of all');
    my @events = map { $_->{type} } grep { defined } map { eval { JSON::PP->new->decode($_) } }
        split /\n/, curl_events();
    is(join(' ', grep { $_ !~ /^(image|layer|verify|index)$/ } @events), 'tag', 'and nobody was told of a manifest');
};

# All events so far.
sub curl_events () {
    my $ran = run([ 'curl', '-q', '-sN', '--max-time', '3', 'http://127.0.0.1:' . $registry->port . '/v1/events?since=0' ]);
    return $ran->{out};
}

subtest 'the same on another server' => sub {
    my $other = Registry->start;
    my $api   = Registry::V1->new($other, version => '17.05');
    pushed($api, 'some/thing', 'else', random_image());
    pushed($api, 'some/thing', 'v1', @recorded);
    is(is_converted($other, 'some/thing', 'v1'), $MANIFEST, 'the manifest');
    is_status($other->get("/v2/some/thing/blobs/$CONFIG"), 200, '... and the config');
    $other->stop;
};

subtest 'more tags of it' => sub {
    is_status($v1->put_tag('foo/bar', 'second', $recorded[3]{id}), 200, 'a tag in the same repository');
    is_status($registry->head('/v2/foo/bar/manifests/second'), 200, '... has its manifest at once', 'Docker-Content-Digest' => $MANIFEST);
    is_status($v1->put_tag('other', 'x', $recorded[3]{id}), 200, 'a tag in another one');
    is(is_converted($registry, 'other', 'x'), $MANIFEST, '... the same');
    is_status($registry->get("/v2/other/blobs/$CONFIG"), 200, '... which may serve the config');
    is_status($v1->put_tag('foo/bar', 'middle', $recorded[1]{id}), 200, 'a tag of an ancestor');
    isnt(is_converted($registry, 'foo/bar', 'middle'), $MANIFEST, '... is another image');
    first_sees('foo/bar', 'middle', @recorded[ 0, 1 ]);
};

subtest 'until it is done' => sub {
    my ($keeper) = $registry->children('keeper');
    stop_at_rest($keeper);
    my $image = random_image();
    pushed($v1, 'soon', 'latest', $image);
    my $manifest = $registry->get('/v2/soon/manifests/latest');
    is_error($manifest, 404, 'MANIFEST_UNKNOWN', 'there is no manifest');
    is($manifest->detail->{reason}, 'converting', '... yet');
    is_status($registry->head('/v2/soon/manifests/latest'), 404, 'HEAD');
    is_deeply($registry->get('/v2/soon/tags/list')->json->{tags}, ['latest'], 'the tag is listed');
    first_sees('soon', 'latest', $image);
    kill 'CONT', $keeper;
    is_converted($registry, 'soon', 'latest');
    first_sees('soon', 'latest', $image);
};

subtest 'what cannot be converted' => sub {
    my ($no_tar, $no_config) = (random_image(), random_image());
    $no_tar->{layer} = 'no tar';
    $no_config->{json} =~ s/"config":\{/"config":{"User":7,/;
    my %bad = ('a layer that is no tar' => $no_tar, 'a config that no client could read' => $no_config);
    my %reason = (
        'a layer that is no tar'             => qr/^its layer sha256:\w+ can't be unpacked: ./,
        'a config that no client could read' => qr/config\.User must be a string/,
    );
    for my $what (sort keys %bad) {
        my $image = $bad{$what};
        $image->{payload} = payload_of($image->{json}, $image->{layer});
        pushed($v1, 'bad', 'x', $image);
        ok(wait_for(60, sub { ($registry->get('/v2/bad/manifests/x')->detail->{reason} // '') =~ $reason{$what} }), "$what: the reason is told");
        is_error($registry->get('/v2/bad/manifests/x'), 404, 'MANIFEST_UNKNOWN', '... with the 404');
        first_sees('bad', 'x', $image);
    }
    my @chain = random_chain(128, size => 1);
    pushed($v1, 'bad', 'long', @chain);
    ok(wait_for(60, sub { ($registry->get('/v2/bad/manifests/long')->detail->{reason} // '') eq 'it has more than 127 layers' }), '128 layers');
    is_status($v1->put_tag('bad', 'enough', $chain[-2]{id}), 200, 'its parent');
    is_converted($registry, 'bad', 'enough');
};

subtest 'both move the same tags' => sub {
    my ($one, $two) = (random_image(), random_image());
    pushed($v1, 'moves', 'x', $one);
    my $first = is_converted($registry, 'moves', 'x');
    pushed($v1, 'moves', 'x', $two);
    ok(wait_for(60, sub { my $r = $registry->head('/v2/moves/manifests/x'); $r->status == 200 && $r->header('Docker-Content-Digest') ne $first }),
        'another image by the first API: another manifest');
    ok(wait_for(60, sub { $registry->head("/v2/moves/manifests/$first")->status == 404 }), '... and the first one goes');
    is_gone('... with its image', $one);
    my $pushed = $registry->push_image('moves', 'x', [ random_bytes(300) ]);
    is_status($pushed, 201, 'an image by the second API');
    is_status($registry->head('/v2/moves/manifests/x'), 200, '... is there', 'Docker-Content-Digest' => $pushed->header('Docker-Content-Digest'));
    is_gone('... and the one before goes', $two);
    is_status($registry->head('/v2/moves/manifests/x'), 200, '... but not this one');
};

subtest 'deleting' => sub {
    for my $way ('v2 tag', 'v1 tag', 'v2 digest') {
        my @chain = random_chain(2);
        pushed($v1, 'goes', $_, @chain) for 'a', 'b';
        my $digest = is_converted($registry, 'goes', 'a');
        is(is_converted($registry, 'goes', 'b'), $digest, '... both tags');
        if ($way eq 'v2 digest') {
            is_status($registry->delete("/v2/goes/manifests/$digest"), 202, $way);
            is_v1_error($v1->get("/v1/repositories/goes/tags/$_"), 404, "... no tag $_") for 'a', 'b';
        } else {
            my $delete = sub ($tag) {
                return $registry->delete("/v2/goes/manifests/$tag") if $way eq 'v2 tag';
                return $v1->request(DELETE => "/v1/repositories/goes/tags/$tag");
            };
            is_status($delete->('a'), $way eq 'v2 tag' ? 202 : 200, "$way, one of two");
            is_status($registry->head("/v2/goes/manifests/$digest"), 200, '... leaves the manifest');
            is_status($delete->('b'), $way eq 'v2 tag' ? 202 : 200, '... the other');
        }
        is_error($registry->get("/v2/goes/manifests/$digest"), 404, 'MANIFEST_UNKNOWN', '... the manifest goes');
        is_gone('... with the image and its parent', @chain);
    }
};

subtest 'a restart' => sub {
    $registry->stop;
    $registry = Registry->start(dir => $registry->dir, args => \@args);
    $v1       = Registry::V1->new($registry);
    is_status($registry->head('/v2/foo/bar/manifests/latest'), 200, 'changes nothing', 'Docker-Content-Digest' => $MANIFEST);
    first_sees('foo/bar', 'latest', @recorded);
};

is_tidy($registry);
finish();
