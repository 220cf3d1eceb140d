# Deleting by the first API: tags, whole repositories; and what nothing needs any more goes, the rest stays.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start(args => [ '--lease', '2s', '--history-keep', '0', '--upload-expiry', '4s', '--gc-interval', '1s' ]);
# What is about to go can't be seen, but it exists.
my $v1       = Registry::V1->new($registry, skips => 1);

sub status_of ($image) { return $registry->get("/v1/images/$image->{id}/json")->status }
# For what can't be watched without changing it: a few times, with more and more time for it.
sub later ($condition) {
    for my $seconds (3, 6, 12, 24) {
        sleep $seconds;
        return 1 if $condition->();
    }
    return 0;
}

sub files_of ($image) { return $registry->blob_files(digest($image->{layer})) }
sub pushed ($repository, $tag, @images) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @wrong = grep { $_->[1]->status != $_->[2] } $v1->push_images($repository, $tag, @images);
    ok(!@wrong, "$repository:$tag is pushed") or diag($wrong[0][1]->describe);
}

my @base   = random_chain(2);
my @one    = (@base, random_image($base[-1]{id}));
my @two    = (@base, random_image($base[-1]{id}));
my @second = random_chain(1);
pushed('foo/bar', 'one',    @one);
pushed('foo/bar', 'two',    @two);
pushed('foo/bar', 'latest', @two);
pushed('other',   'latest', @second);
is_status($registry->push_image('foo/bar', 'by-v2', [ random_bytes(1000) ]), 201, 'and one by the second API');

subtest 'a tag' => sub {
    my $answer = $v1->request(DELETE => '/v1/repositories/foo/bar/tags/one');
    is_status($answer, 200, 'DELETE');
    is($answer->content, '""', '... an empty string');
    is_v1_error($v1->request(DELETE => '/v1/repositories/foo/bar/tags/one'), 404, 'twice');
    is_v1_error($v1->get('/v1/repositories/foo/bar/tags/one'), 404, 'it is gone');
    is_status($v1->get('/v1/repositories/foo/bar/tags/two/'), 200, 'others are not');
    is(status_of($_), 200, 'no image is') for @one;
    is_status($v1->request(DELETE => '/v1/repositories/foo/bar/images'), 204, 'the list of images takes no DELETE, and says so kindly');
    is_status($v1->get('/v1/repositories/foo/bar/images'), 200, '... nothing is gone');
};

subtest 'what only it needed goes' => sub {
    ok(wait_for(30, sub { status_of($one[2]) == 404 }), 'its image');
    is(status_of($_), 200, 'those that others need stay') for @two;
    is(scalar(files_of($_)), 1, 'their files too') for @two;
    # To look whether it can come again renews it, if it can't: so not too often.
    ok(later(sub { $v1->put_json($one[2])->status == 200 }), 'what is gone can come again');
    is_status($v1->put_layer($one[2]), 200, '... with its layer');
};

subtest 'half an image' => sub {
    my $gone = later(sub {
        my $half = random_image();
        $v1->put_json($half);
        sleep 6;
        return $v1->put_layer($half)->status == 404;
    });
    ok($gone, 'waits for its layer, but not for ever');
};

subtest 'a tag that moves' => sub {
    my $next = random_image($two[-1]{id});
    pushed('foo/bar', 'latest', @two, $next);
    pushed('foo/bar', 'two', @base);
    my $spare = random_image();
    $v1->push_image($spare);
    ok(wait_for(30, sub { status_of($spare) == 404 }), 'while what has no tag goes');
    is(status_of($_), 200, '... a tag keeps its whole chain') for @two, $next;
};

subtest 'both APIs' => sub {
    my $list = $registry->get('/v2/foo/bar/tags/list')->json;
    is_deeply($list->{tags}, [qw(by-v2 latest two)], 'tags are one list');
    is_deeply($registry->get('/v2/_catalog')->json->{repositories}, [qw(foo/bar other)], 'repositories too');
    ok(wait_for(60, sub { $registry->get('/v2/foo/bar/manifests/latest')->status == 200 }), 'an image of the first API has a manifest');
    is_status($registry->delete('/v2/foo/bar/manifests/two'), 202, 'the second deletes a tag of the first');
    is_v1_error($v1->get('/v1/repositories/foo/bar/tags/two'), 404, '... it is gone');
    is_status($v1->request(DELETE => '/v1/repositories/foo/bar/tags/by-v2'), 200, 'and the other way round');
    is_error($registry->get('/v2/foo/bar/manifests/by-v2'), 404, 'MANIFEST_UNKNOWN', '... it is gone');
    is_status($registry->push_image('foo/bar', 'latest', [ random_bytes(500) ]), 201, 'a manifest takes over a tag');
    is_status($registry->get('/v2/foo/bar/manifests/latest'), 200, '... and is served');
    like($v1->get('/v1/repositories/foo/bar/tags/latest')->content, qr/^"[0-9a-f]{64}"$/, '... which the first API shows as well');
    isnt($v1->get('/v1/repositories/foo/bar/tags/latest')->content, qq("$base[0]{id}"), '... by another id');
    is_status($v1->put_tag('foo/bar', 'latest', $base[0]{id}), 200, 'and an image takes it back');
    is($v1->get('/v1/repositories/foo/bar/tags/latest')->content, qq("$base[0]{id}"), '... and is shown');
};

subtest 'a repository' => sub {
    is_status($registry->push_image('foo/bar', 'by-v2', [ random_bytes(1000) ]), 201, 'a tag by the second API');
    my $answer = $v1->request(DELETE => '/v1/repositories/foo/bar/');
    is_status($answer, 200, 'DELETE');
    is($answer->content, '""', '... an empty string');
    is_v1_error($v1->request(DELETE => '/v1/repositories/foo/bar'), 404, 'twice');
    is_v1_error($v1->get("/v1/repositories/foo/bar/$_"), 404, "no $_") for qw(tags images);
    is_deeply($registry->get('/v2/foo/bar/tags/list')->json->{tags}, [], 'no tags');
    is_status($v1->get('/v1/repositories/other/tags'), 200, 'another stays');
    ok(wait_for(60, sub { !grep { status_of($_) != 404 } @base, @two }), 'all of its images go');
    is(status_of($second[0]), 200, 'no other does');
    pushed('foo/bar', 'again', @two);
    is_status($v1->request(DELETE => '/v1/repositories/other/tags'), 200, 'DELETE of tags does the same');
    is_v1_error($v1->get('/v1/repositories/library/other/tags'), 404, '... to both spellings');
};

ok(wait_for(100, sub { !files_of($second[0]) }), 'in the end files go, too');
is_tidy($registry);
is_sound($registry);
finish();
