# If-Match and If-None-Match on what writes (RFC 9110 13.1): a false condition is 412, and nothing changes.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $NAME     = 'team/app';
my $OTHER    = digest('another');

# An index of nothing, which differs by its note.
sub document ($note) {
    return json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => [], annotations => { note => "$note" } });
}
sub put ($reference, $note, %headers) {
    return $registry->put("/v2/$NAME/manifests/$reference", body => document($note),
        headers => { 'Content-Type' => $Registry::Client::TYPE{index}, %headers });
}
sub remove ($reference, %headers) { return $registry->delete("/v2/$NAME/manifests/$reference", headers => \%headers) }
sub target ($tag) { return $registry->head("/v2/$NAME/manifests/$tag")->header('Docker-Content-Digest') // 'nothing' }

subtest 'a tag is put' => sub {
    is_error(put('v1', 'a', 'If-Match' => '*'), 412, 'PRECONDITION_FAILED', 'If-Match: * where nothing is');
    is(target('v1'), 'nothing', '... makes no tag');
    is_status($registry->get("/v2/$NAME/tags/list"), 404, '... and no repository');
    is_status(put('v1', 'a', 'If-None-Match' => '*'), 201, 'If-None-Match: * where nothing is');
    my $now = target('v1');
    is($now, digest(document('a')), '... makes it');
    for my $case (
        [ 'If-None-Match', '*' ], [ 'If-None-Match', qq("$now") ], [ 'If-None-Match', qq(W/"$now") ],
        [ 'If-None-Match', qq("$OTHER", W/"$now") ], [ 'If-None-Match', $now ], [ 'If-Match', qq("$OTHER") ],
        [ 'If-Match', qq(W/"$now") ], [ 'If-Match', qq("$OTHER" , "x") ], [ 'If-Match', '""' ], [ 'If-Match', '"' ],
        [ 'If-Match', '' ], [ 'If-Match', '"*"' ],
    ) {
        is_error(put('v1', 'b', @$case), 412, 'PRECONDITION_FAILED', "$case->[0]: $case->[1]");
        is(target('v1'), $now, '... changes nothing');
        is_status($registry->head("/v2/$NAME/manifests/" . digest(document('b'))), 404, '... and stores nothing');
    }
    my $note = 0;
    for my $case (
        sub ($now) { ('If-Match',      '*') },                  sub ($now) { ('If-Match', qq("$now")) },
        sub ($now) { ('If-Match',      qq("$OTHER" ,\t"$now")) }, sub ($now) { ('If-Match', $now) },
        sub ($now) { ('If-None-Match', qq("$OTHER")) },         sub ($now) { ('If-None-Match', qq(W/"$OTHER", "x,y")) },
        sub ($now) { ('If-Match',      qq("$now"), 'If-None-Match', qq("$OTHER")) },
    ) {
        my @condition = $case->(target('v1'));
        is_status(put('v1', ++$note, @condition), 201, "@condition");
        is(target('v1'), digest(document($note)), '... moves it');
    }
    is_error(put('v1', 'x', 'If-Match' => '*', 'If-None-Match' => '*'), 412, 'PRECONDITION_FAILED', 'both have to hold');
};

subtest 'a manifest is put by its digest' => sub {
    my $digest = digest(document('by digest'));
    is_error(put($digest, 'by digest', 'If-Match' => '*'), 412, 'PRECONDITION_FAILED', 'If-Match: * where it is not');
    is_status(put($digest, 'by digest', 'If-None-Match' => '*'), 201, 'If-None-Match: *');
    is_error(put("$digest?tag=new", 'by digest', 'If-None-Match' => '*'), 412, 'PRECONDITION_FAILED', '... where it is');
    is(target('new'), 'nothing', '... makes no tag');
    is_status(put("$digest?tag=new", 'by digest', 'If-Match' => qq("$digest")), 201, 'If-Match with its digest');
    my $second = digest(document('second'));
    is_status(put("$second?tag=new", 'second', 'If-None-Match' => '*'), 201, 'what the tag names does not matter');
};

subtest 'deleting' => sub {
    my $now = target('v1');
    is_error(remove('v1', 'If-Match' => qq("$OTHER")), 412, 'PRECONDITION_FAILED', 'a tag that names something else');
    is_error(remove($now, 'If-None-Match' => '*'), 412, 'PRECONDITION_FAILED', 'a manifest that is not to be there');
    is(target('v1'), $now, '... both stay');
    is_status(remove('none', 'If-Match' => '*'), 404, 'a tag that is not there');
    is_status($registry->delete("/v1/repositories/$NAME/tags/v1", headers => { 'If-Match' => qq("$OTHER") }), 412, 'the first API');
    is_status($registry->delete("/v1/repositories/$NAME$_->[0]", headers => { $_->[1] => $_->[2] }), 412, "all tags: $_->[1]: $_->[2]")
        for [ '/', 'If-Match', qq("$now") ], [ '/tags', 'If-Match', 'x' ], [ '/', 'If-None-Match', '*' ];
    is(target('v1'), $now, '... all stay');
    is_status(remove('v1', 'If-Match' => qq("$OTHER", "$now")), 202, 'a tag that names one of them');
    is_status(remove($now, 'If-Match' => qq("$now")), 202, 'and a manifest');
    is(target($now), 'nothing', '... are gone');
};

subtest 'the first API' => sub {
    my $v1 = Registry::V1->new($registry);
    my ($image, $other) = map { Registry::V1::random_image() } 1 .. 2;
    is($_->[1]->status, $_->[2], $_->[0]) for map { $v1->push_image($_) } $image, $other;
    my $put = sub ($image, %headers) {
        return $registry->put('/v1/repositories/a/b/tags/v1', body => qq("$image->{id}"),
            headers => { 'Content-Type' => 'application/json', %headers });
    };
    is_status($put->($image, 'If-Match' => '*'), 412, 'If-Match: * where no tag is');
    is_status($registry->get('/v1/repositories/a/b/tags'), 404, '... makes no repository');
    is_status($put->($image, 'If-None-Match' => '*'), 200, 'If-None-Match: *');
    is_status($put->($other, 'If-None-Match' => '*'), 412, '... where a tag is');
    like($registry->get('/v1/repositories/a/b/tags/v1')->content, qr/$image->{id}/, '... changes nothing');
    is_status($put->($other, 'If-Match' => '*'), 200, 'If-Match: *');
    like($registry->get('/v1/repositories/a/b/tags/v1')->content, qr/$other->{id}/, '... moves it');
};

subtest 'a blob is deleted' => sub {
    my $blob = random_bytes(100);
    my ($digest, $path) = (digest($blob), "/v2/$NAME/blobs/" . digest($blob));
    is_status($registry->push_blob($NAME, $blob), 201, 'a blob');
    is_error($registry->delete($path, headers => { 'If-Match' => qq("$OTHER") }), 412, 'PRECONDITION_FAILED', 'another is meant');
    is_status($registry->head($path), 200, '... it stays');
    is_status($registry->delete($path, headers => { 'If-Match' => qq("$digest") }), 202, 'this one is meant');
    is_status($registry->delete($path, headers => { 'If-Match' => qq("$digest") }), 404, '... and has gone');
};

# Clients that count, each upon what it has read: no two may count from the same number.
subtest 'at the same time' => sub {
    is_status(put('count', 0), 201, 'zero');
    my @done = in_parallel(6, 60, sub ($) {
        my $counted = 0;
        for (1 .. 40) {
            my $got  = $registry->get("/v2/$NAME/manifests/count");
            my $next = 1 + $got->json->{annotations}{note};
            my $put  = put('count', $next, 'If-Match' => $got->header('ETag'));
            $counted++ if $put->status == 201;
            return -1 if $put->status !~ /^(?:201|412)$/;
        }
        return $counted;
    });
    my $sum = 0;
    $sum += $_ // -1000 for @done;
    is($registry->get("/v2/$NAME/manifests/count")->json->{annotations}{note}, $sum, "$sum counted: none was lost");
    cmp_ok($sum, '<', 240, 'some met');
};

finish();
