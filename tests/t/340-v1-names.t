# A name of one part: what either API has pushed is found by it, with and without library/, and nothing is mixed up.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $seen     = tempdir();
chmod 0777, $seen;
my $registry = Registry->start(env => { SEEN => $seen }, args => [ '--on-tag', 'echo "$REGISTRY_REPOSITORY $2" >>"$SEEN/tags"' ]);
my $v1       = Registry::V1->new($registry);
my ($low, $high) = random_chain(2);

sub push_both_by_v1 ($repository, $tag) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @wrong = grep { $_->[1]->status != $_->[2] } $v1->push_images($repository, $tag, $low, $high);
    ok(!@wrong, "$repository:$tag is pushed") or diag($wrong[0][1]->describe);
}

sub is_tagged ($repository, $tag, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = $v1->get("/v1/repositories/$repository/tags/$tag");
    is($got->status == 200 && $got->content, qq("$high->{id}"), $name) or diag($got->describe);
}

sub tags_of ($repository) { return join ' ', sort @{ $registry->get("/v2/$repository/tags/list")->json->{tags} // ['none'] } }

subtest 'a new one' => sub {
    push_both_by_v1('alone', 'v1');
    is(tags_of('alone'), 'v1', 'is called as it was sent');
    is_error($registry->get('/v2/library/alone/tags/list'), 404, 'NAME_UNKNOWN', '... not otherwise');
    is_tagged($_, 'v1', "$_ leads to it") for 'alone', 'library/alone';
    push_both_by_v1('library/alone', 'v2');
    is(tags_of('alone'), 'v1 v2', 'its other name makes no second one');
    push_both_by_v1('library/long', 'v1');
    is(tags_of('library/long'), 'v1', 'library/ stays when it was sent');
    is_tagged($_, 'v1', "$_ leads to it") for 'long', 'library/long';
};

subtest 'what the second API has pushed' => sub {
    for my $name ([ 'today', 'library/today' ], [ 'library/yesterday', 'yesterday' ]) {
        my ($full, $other) = @$name;
        is_status($registry->push_image($full, 'by-v2', [ random_bytes(100) ]), 201, "$full is pushed");
        push_both_by_v1($other, 'by-v1');
        is(tags_of($full), 'by-v1 by-v2', "$other is $full");
        is_status($v1->request(DELETE => "/v1/repositories/$other/tags/by-v2"), 200, '... also to delete from');
        is(tags_of($full), 'by-v1', '... which does so');
    }
};

subtest 'both' => sub {
    is_status($registry->push_image($_, 'by-v2', [ random_bytes(100) ]), 201, "$_ is pushed") for 'both', 'library/both';
    push_both_by_v1('both',         'short');
    push_both_by_v1('library/both', 'long');
    is(tags_of('both'),         'by-v2 short', 'each is itself');
    is(tags_of('library/both'), 'by-v2 long',  '... both are');
    is_tagged('both',         'short', 'pulled by one name');
    is_tagged('library/both', 'long',  '... and by the other');
    is_v1_error($v1->get('/v1/repositories/both/tags/long'), 404, '... and nothing else');
};

subtest 'what is empty' => sub {
    is_status($registry->post('/v2/filling/blobs/uploads/', body => ''), 202, 'an upload begins');
    push_both_by_v1('library/filling', 'v1');
    is_tagged('filling', 'v1', 'a repository with nothing in it hides nothing');
    is_status($v1->request(DELETE => '/v1/repositories/alone/'), 200, 'one is emptied');
    is_v1_error($v1->get('/v1/repositories/library/alone/tags'), 404, '... under both names');
};

subtest 'lists' => sub {
    my $list = $v1->get('/v1/repositories');
    is_status($list, 200, 'all repositories');
    my %all = %{ $list->json };
    is_deeply([ grep { $all{$_} eq $high->{id} } sort keys %all ],
        [ 'both:short', 'filling:v1', 'library/both:long', 'long:v1', 'today:by-v1', 'yesterday:by-v1' ],
        'names are short where that leads to them');
    for my $key (grep { $all{$_} eq $high->{id} } sort keys %all) {
        my ($name, $tag) = split /:/, $key;
        is_tagged($name, $tag, "$key is found as it is listed");
    }
};

subtest 'hooks' => sub {
    my @want = ('alone alone:v1', 'alone alone:v2', 'library/long long:v1', 'today today:by-v1', 'library/yesterday yesterday:by-v1',
        'both both:short', 'library/both both:long', 'library/filling filling:v1');
    ok(wait_for(30, sub { -e "$seen/tags" && !grep { slurp("$seen/tags") !~ /^\Q$_\E$/m } @want }),
        'hear of the repository that was meant, and of the short name') or diag(-e "$seen/tags" ? slurp("$seen/tags") : 'none');
};

is_tidy($registry);
finish();
