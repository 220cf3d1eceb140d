# Images of the first API get their manifests, whoever is killed meanwhile, and nothing is half done: a tag names the
# image or its manifest, and a manifest has all of its parts.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(sleep);

my $registry = Registry->start(expected => qr/process died|recover|killed|waking/);
my $v1       = Registry::V1->new($registry);

sub pushed ($repository, $tag, @images) {
    my @wrong = grep { $_->[1]->status != $_->[2] } $v1->push_images($repository, $tag, @images);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(!@wrong, "$repository:$tag is pushed") or diag($wrong[0][0] . ': ' . $wrong[0][1]->describe);
}

sub keeper () {
    my $pid;
    wait_for(30, sub { ($pid) = $registry->children('keeper'); $pid });
    return $pid;
}

# 404 "converting", or a manifest of which all is there: its digest.
sub digest_of ($repository, $tag) {
    my $manifest = $registry->get("/v2/$repository/manifests/$tag");
    return undef if $manifest->status == 404 && ($manifest->detail->{reason} // '') eq 'converting';
    return "status " . $manifest->status if $manifest->status != 200;
    my $json = $manifest->json;
    for my $part ($json->{config}, @{ $json->{layers} }) {
        my $blob = $registry->get("/v2/$repository/blobs/$part->{digest}");
        return "blob $part->{digest}: " . $blob->status if $blob->status != 200;
        return 'another blob' if digest($blob->content) ne $part->{digest} || length $blob->content != $part->{size};
    }
    return $manifest->header('Docker-Content-Digest');
}

subtest 'the keeper is killed between two of many tags' => sub {
    my @chain = random_chain(3);
    pushed('many', 't0', @chain);
    my $stopped = keeper();
    stop_at_rest($stopped);
    my @tags = map { "t$_" } 1 .. 400;
    my @bad = grep { $v1->put_tag('many', $_, $chain[-1]{id})->status != 200 } @tags;
    ok(!@bad, '400 tags of one image');
    kill 'CONT', $stopped;
    for (1 .. 4) {
        kill 'KILL', keeper();
        sleep rand 0.3;
    }
    ok(wait_for(90, sub { !grep { $registry->head("/v2/many/manifests/$_")->status != 200 } 't0', @tags }), 'each has its manifest in the end');
    my %digests = map { $registry->head("/v2/many/manifests/$_")->header('Docker-Content-Digest') => 1 } 't0', @tags;
    is(scalar keys %digests, 1, '... the same');
    is(digest_of('many', 't0'), (keys %digests)[0], '... with all of its parts');
    is($v1->get('/v1/repositories/many/tags/t400')->content, qq("$chain[-1]{id}"), 'and the first API sees the image');
};

subtest 'everything is killed again and again' => sub {
    my (@tags, @wrong);
    for my $round (1 .. 8) {
        my $image = random_image();
        pushed('r', "t$round", $image);
        push @tags, [ "t$round", $image->{id} ];
        sleep rand 0.4;
        $registry->crash;
        $registry = Registry->start(dir => $registry->dir, expected => qr/process died|recover|killed|waking/);
        $v1       = Registry::V1->new($registry);
        for my $tag (@tags) {
            my $digest = digest_of('r', $tag->[0]);
            push @wrong, "$tag->[0]: $digest" if defined $digest && $digest !~ /^sha256:/;
        }
    }
    is(join(', ', @wrong), '', 'never was anything half done');
    ok(wait_for(90, sub { !grep { !defined digest_of('r', $_->[0]) } @tags }), 'all are converted in the end');
    my @lost = grep { $v1->get("/v1/repositories/r/tags/$_->[0]")->content ne qq("$_->[1]") } @tags;
    ok(!@lost, 'and the first API sees them all');
};

is_tidy($registry);
finish();
