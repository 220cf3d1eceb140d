# What a page needs of lists: repositories with their sizes and times, and who may see them.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

my %PASSWORD = (ann => 'ann-secret', bob => 'bob-secret', zoe => 'zoe-secret');
my $RULES    = <<'END';
hidden/**    zoe        none
team/**      ann        all
public/**    anonymous  pull
own/**       bob        all
**           zoe        pull,admin
END
my @USERS = map { ('--user', "$_:$PASSWORD{$_}") } sort keys %PASSWORD;

sub with_rules ($rules) {
    my $dir = tempdir() . '/data';
    mkdir $_ for $dir, "$dir/auth";
    chown((getpwnam 'www-data')[2, 3], "$dir/auth") if is_root();
    spew("$dir/auth/access", $rules);
    return Registry->start(dir => $dir, args => \@USERS);
}

sub bearer ($token) { return headers => { Authorization => "Bearer $token" } }

sub list ($of, $query = '', @o) { return $of->get("/v2/_repositories$query", @o) }
sub names ($response) { return [ map { $_->{name} } @{ $response->json->{repositories} } ] }
sub next_of ($response) { return (($response->header('Link') // '') =~ /^<([^>]*)>; rel="next"$/)[0] }

# All names that a client sees by following the links; the pages may be short.
sub walk ($of, $query, @o) {
    my ($next, @all, $pages) = ("/v2/_repositories$query");
    for ($pages = 0; defined $next && $pages < 50; $pages++) {
        my $page = $of->get($next, @o);
        is($page->status, 200, $next) or return [];
        push @all, @{ names($page) };
        $next = next_of($page);
    }
    return (\@all, $pages);
}

subtest 'without users' => sub {
    my $registry = Registry->start;
    is_deeply(list($registry)->json, { repositories => [] }, 'none at first');
    my @layers = map { random_bytes(1000 * $_) } 1 .. 3;
    for my $name (qw(team/app team/web team-b other library/x)) {
        is_status($registry->push_image($name, 'v1', [ @layers[ 0, 1 ] ]), 201, "an image in $name");
    }
    is_status($registry->push_image('team/app', 'v' . ($_ + 1), [ $layers[$_] ], note => $_), 201, 'another tag') for 1, 2;
    is_deeply(names(list($registry)), [qw(library/x other team-b team/app team/web)], 'all, in byte order');
    is_deeply(names(list($registry, '?prefix=team/')), [qw(team/app team/web)], 'those of a namespace');
    is_deeply(names(list($registry, '?prefix=team')), [qw(team-b team/app team/web)], 'those that begin so');
    is_deeply(names(list($registry, "?prefix=$_")), [], "none begins with $_") for 'zzz', 'teams', 'a' x 300, 'T', '%01';
    is_deeply(names(list($registry, '?name=E')), [qw(other team-b team/app team/web)], 'those with a text, whose case is ignored');
    is_deeply(names(list($registry, '?name=B&prefix=team/')), ['team/web'], 'both');
    is_deeply((walk($registry, '?n=1&name=team'))[0], [qw(team-b team/app team/web)], 'the pages have the same condition');
    is_deeply((walk($registry, '?n=1&prefix=team/'))[0], [qw(team/app team/web)], '... and this one');
    is_deeply(names(list($registry, '?last=team/app')), ['team/web'], 'behind a name');
    is_deeply(names(list($registry, '?n=0')), [], 'n=0');
    is_status($registry->head('/v2/_repositories'), 200, 'HEAD');
    is_error(list($registry, '?n=x'), 400, 'UNSUPPORTED', 'n=x');
    is_error(list($registry, '?behind=x'), 400, 'UNSUPPORTED', 'behind=x');
    my ($app) = grep { $_->{name} eq 'team/app' } @{ list($registry)->json->{repositories} };
    is($app->{tags}, 3, 'its tags');
    like($app->{updated}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'its last change');
    my $size;
    wait_for(30, sub {
        my ($is) = grep { $_->{name} eq 'team/app' } @{ list($registry)->json->{repositories} };
        $size = $is->{size};
        return defined $size && $size > 6000;
    });
    cmp_ok($size, '>=', 6000, 'its size has each layer');
    cmp_ok($size, '<', 8000, '... once');
    my $storage = $registry->get('/v2/_storage');
    is_status($storage, 200, 'the storage', 'Cache-Control' => 'no-store');
    my $is = $storage->json;
    is_deeply([ sort keys %$is ], [ sort qw(counted repositories tags blobs used saved garbage uploads disk largest) ], '... with each member');
    is_deeply([ @$is{qw(tags uploads)} ], [ 7, 0 ], '... its numbers');
    cmp_ok($is->{saved}, '>=', 3 * 3000, '... what sharing saves');
    cmp_ok($is->{used}, '<', 20_000, '... what is used');
    cmp_ok($is->{disk}{free}, '<=', $is->{disk}{size}, '... the disk');
    is_deeply($is->{largest}[0], { name => 'team/app', size => $size }, '... the largest repository');
    is(scalar @{ $is->{largest} }, 5, '... and the others');
    is_deeply($registry->get('/v2/_me')->json,
        { user => '', users => JSON::PP::false, login => 'none', administrator => JSON::PP::true, read_only => JSON::PP::false },
        'everybody may do everything');
};

subtest 'with users and without rules' => sub {
    my $registry = Registry->start(args => [ @USERS, '--anonymous-pull' ]);
    my ($ann, $stranger) = ($registry->with(user => "ann:$PASSWORD{ann}"), $registry->with);
    is_status($ann->push_image('a/b', 'v1', [ random_bytes(100) ]), 201, 'an image');
    is_deeply(names(list($ann)), ['a/b'], 'a user sees it');
    is_error(list($stranger), 401, 'UNAUTHORIZED', 'a client without a user is asked for a token');
    my $token = $stranger->get('/v2/_token?scope=registry:catalog:*')->json->{token};
    is_deeply(names(list($stranger, '', bearer($token))), ['a/b'], '... and with one sees it');
    is($ann->get('/v2/_me')->json->{administrator}, JSON::PP::true, 'each user administers it');
    is_status($ann->get('/v2/_storage'), 200, '... and sees its storage');
    is_error($stranger->get('/v2/_storage'), 401, 'UNAUTHORIZED', '... and a stranger does not');
    is_error($stranger->get('/v2/_storage', bearer($token)), 401, 'UNAUTHORIZED', '... with a token for lists neither');
    is_status($stranger->get('/v2/_storage', bearer($ann->get('/v2/_token?scope=registry:catalog:*')->json->{token})), 200, 'a token of a user for lists does');
    my $me = $stranger->get('/v2/_me?repository=a/b', bearer($token))->json;
    is($me->{administrator}, JSON::PP::false, '... and nobody else');
    is_deeply($me->{repository}, { name => 'a/b', pull => JSON::PP::true, map { $_ => JSON::PP::false } qw(create overwrite delete admin) }, 'who may pull');
};

subtest 'with rules' => sub {
    my $registry = with_rules($RULES);
    my %as       = map { $_ => $registry->with(user => "$_:$PASSWORD{$_}") } keys %PASSWORD;
    my $stranger = $registry->with;
    is_status($as{ann}->push_image("team/$_", 'v1', [ random_bytes(100) ]), 201, "team/$_") for 'secret', 'also';
    is_status($as{bob}->push_image("own/$_", 'v1', [ random_bytes(100) ]), 201, "own/$_") for 1 .. 3;
    my %want = (ann => [qw(team/also team/secret)], bob => [qw(own/1 own/2 own/3)], zoe => [qw(own/1 own/2 own/3 team/also team/secret)]);
    is_deeply((walk($as{$_}, '?n=1'))[0], $want{$_}, "what $_ may pull") for sort keys %want;
    for my $query ('?name=secret', '?prefix=team/', '?prefix=team/secret', '?name=nothing&prefix=nothing') {
        my $got = list($as{bob}, $query);
        is_status($got, 200, "bob, $query");
        is($got->content, '{"repositories":[]}', '... learns nothing');
        is($got->header('Link'), undef, '... by no link either');
    }
    my $list = $stranger->get('/v2/_token?scope=registry:catalog:*')->json->{token};
    is_deeply(names(list($stranger, '', bearer($list))), [], 'a stranger sees nothing');
    is_error(list($stranger), 401, 'UNAUTHORIZED', '... and is asked first');
    my $pull = $as{ann}->get('/v2/_token?scope=repository:team/secret:pull')->json->{token};
    is_error(list($stranger, '', bearer($pull)), 401, 'UNAUTHORIZED', 'a token for a repository is none for lists');
    my $lists = $as{ann}->get('/v2/_token?scope=registry:catalog:*')->json->{token};
    is_deeply(names(list($stranger, '', bearer($lists))), $want{ann}, '... and one for lists shows what its user may pull');

    is_error($stranger->get('/v2/_me'), 401, 'UNAUTHORIZED', 'a stranger is asked who he is');
    is($stranger->get('/v2/_me', bearer($list))->json->{user}, '', '... and with a token is nobody');
    is_error($stranger->get('/v2/_me', bearer("x$list")), 401, 'UNAUTHORIZED', 'a damaged token');
    my $me = $stranger->get('/v2/_me?repository=team/secret', bearer($pull))->json;
    is($me->{user}, 'ann', 'with a token for pulling: its user');
    is_deeply($me->{repository}, { name => 'team/secret', map { $_ => JSON::PP::true } qw(pull create overwrite delete admin) },
        '... and all that he may do');
    is($me->{login}, 'token', '... and how to log in');
    is_deeply([ map { $as{$_}->get('/v2/_me')->json->{administrator} ? 1 : 0 } qw(ann bob zoe) ], [ 0, 0, 0 ], 'a line before ** that does not give admin is an exception');
    my %rights = map { $_ => $as{bob}->get("/v2/_me?repository=$_")->json->{repository} } 'team/secret', 'team/none', 'public/x';
    is_deeply([ map { delete $rights{$_}{name}; $rights{$_} } 'team/secret' ], [ { map { $_ => JSON::PP::false } qw(pull create overwrite delete admin) } ], 'no right');
    delete $rights{'team/none'}{name};
    is_deeply($rights{'team/secret'}, $rights{'team/none'}, '... whether it exists or not');
    is($rights{'public/x'}{pull}, JSON::PP::true, 'what everybody may pull');
    is_error($as{bob}->get('/v2/_me?repository=Not%20one'), 400, 'NAME_INVALID', 'no name of a repository');
};

subtest 'an administrator' => sub {
    my $registry = with_rules("own/**  zoe  all\n**  zoe  pull,admin\n**  *  pull\n**  anonymous  pull\n");
    my %as = map { $_ => $registry->with(user => "$_:$PASSWORD{$_}") } keys %PASSWORD;
    is_deeply([ map { $as{$_}->get('/v2/_me')->json->{administrator} ? 1 : 0 } qw(ann zoe) ], [ 0, 1 ], 'is who has admin on all repositories');
    is_status($as{zoe}->get('/v2/_storage'), 200, 'who sees the storage');
    is_error($as{ann}->get('/v2/_storage'), 403, 'DENIED', '... and others do not');
};
finish();
