# "docker search" and "podman search" find what was pushed, and so does whoever asks the first API itself.
use v5.36;
use Registry limit => 240;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Clients;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $layer    = random_bytes(1000);

sub push_all ($to, @names) {
    for my $name (@names) {
        my $pushed = $to->push_image($name, 'v1', [$layer]);
        die "push of $name: " . $pushed->describe if $pushed->status != 201;
    }
    return;
}

sub search ($client, $query, %o) {
    my $got = $client->get("/v1/search$query", %o);
    is_status($got, 200, "GET /v1/search$query", 'Content-Type' => qr{^application/json});
    return $got->json // {};
}

sub names ($found) { return join ' ', map { $_->{name} } @{ $found->{results} // [] } }

push_all($registry, 'zoo', 'team/app', 'library/busybox', 'team/web/front-end', 'a.b_c--d/app2');
my @steps = Registry::V1->new($registry->with)->push_images('old/app3', 'latest', random_chain(2));
is_deeply([ map { $_->[1]->status } @steps ], [ map { $_->[2] } @steps ], 'one is pushed through the first API');
is_status($registry->post('/v2/empty/repository/blobs/uploads/', body => ''), 202, 'a repository in which nothing is yet');

subtest 'what is found' => sub {
    my $all = 'a.b_c--d/app2 library/busybox old/app3 team/app team/web/front-end zoo';
    is(names(search($registry, '')),        $all, 'without q all, sorted');
    is(names(search($registry, '?q=')),     $all, 'so with an empty one');
    is(names(search($registry, '/?q=')),    $all, 'a slash at the end');
    is(names(search($registry, '?q=app')),  'a.b_c--d/app2 old/app3 team/app', 'a part of the name');
    is(names(search($registry, '?q=APP')),  'a.b_c--d/app2 old/app3 team/app', '... whatever its case');
    is(names(search($registry, '?q=team/app')),   'team/app', 'with a slash');
    is(names(search($registry, '?q=team%2Fapp')), 'team/app', '... escaped');
    is(names(search($registry, '?q=library')), 'library/busybox', 'library/ is part of the name');
    is(names(search($registry, '?q=empty')), '', 'what has nothing in it is not listed');
    is(names(search($registry, '?q=nothing')), '', 'nothing');
    is(names(search($registry, '?q=.%2A')),    '', 'it is no pattern');
    is(search($registry, '?q=%22%5C%C3%A9')->{query}, "\"\\\x{e9}", 'what was asked comes back');
};

subtest 'the answer' => sub {
    my $found = search($registry, '?q=team/app&n=10', headers => { 'X-Docker-Token' => 'true' });
    my %member = (name => 'team/app', description => '', star_count => 0,
        map { $_ => JSON::PP::false } qw(is_official is_automated is_trusted));
    is_deeply($found, { query => 'team/app', num_results => 1, num_pages => 1, page => 1, page_size => 10, results => [ \%member ] },
        'has what each client wants');
    my $text = $registry->get('/v1/search?q=team/app')->content;
    like($text, qr/"star_count":0[,}]/, 'numbers are numbers');
    like($text, qr/"is_$_":false/, "is_$_ is a boolean") for qw(official automated trusted);
    my $none = search($registry, '?q=nothing');
    is_deeply($none->{results}, [], 'nothing is an empty list');
    is_deeply([ @$none{qw(num_results num_pages)} ], [ 0, 0 ], '... of no pages');
    my $head = $registry->head('/v1/search?q=team/app');
    is_status($head, 200, 'HEAD', 'Content-Length' => length $text);
    is_v1_error($registry->post('/v1/search', body => '{}'), 405, 'POST');
    is_v1_error($registry->get('/v1/search?q=%zz'), 400, 'a bad escape');
};

subtest 'pages' => sub {
    my $busy = Registry->start;
    push_all($busy, map { sprintf 'many/r%03d', $_ } 1 .. 110);
    my $page = sub ($query) { my $f = search($busy, $query); return join ' ', scalar @{ $f->{results} }, @$f{qw(page page_size num_pages num_results)}, $f->{results}[0]{name} // '-' };
    is($page->('?q=many'),               '25 1 25 5 110 many/r001',  'n is 25');
    is($page->('?q=many&page=5'),        '10 5 25 5 110 many/r101',  'the last page');
    is($page->('?q=many&page=6'),        '0 6 25 5 110 -',           'behind it');
    is($page->('?q=many&n=100'),         '100 1 100 2 110 many/r001', 'n');
    is($page->('?q=many&n=1&page=110'),  '1 110 1 110 110 many/r110', 'one each');
    is($page->("?q=many&n=$_"), '100 1 100 2 110 many/r001', "n=$_ is the most") for 101, 5000, '9' x 30;
    is($page->("?q=many&n=$_"), '1 1 1 110 110 many/r001',   "n=$_ is the least") for 0, -1, -500;
    is($page->("?q=many&n=$_"), '25 1 25 5 110 many/r001',   "n='$_' is none") for '', 'x', '1.5', '%2B5', '-';
    is($page->("?q=many&page=$_"), '25 1 25 5 110 many/r001', "page='$_' is the first") for 0, -3, '', 'x';
    like($page->('?q=many&n=100&page=' . '9' x 30), qr/^0 \d+ 100 2 110 -$/, 'a page beyond all numbers');
    $busy->stop;
};

my $closed = Registry->start(user => 'ann:secret', args => [ '--user', 'ann:secret' ]);
push_all($closed, 'team/secret');

subtest 'with users' => sub {
    my $nobody = $closed->with;
    for my $header (undef, 'Basic Og==', 'Token ', 'Basic ' . encode_base64('ann:wrong', '')) {
        is_v1_error($nobody->get('/v1/search?q=', headers => { defined $header ? (Authorization => $header) : () }), 401, $header // 'nothing');
    }
    is(names(search($closed, '?q=secret')), 'team/secret', 'a password');
    my $token = $closed->get('/v1/search?q=x', headers => { 'X-Docker-Token' => 'true' })->header('X-Docker-Token');
    is(names(search($nobody, '?q=secret', headers => { Authorization => "Token $token" })), 'team/secret', 'the token that came with it');
};

# The names that a client prints, without the registry's.
sub printed ($ran, $port) { return join ' ', sort map { s{^127\.0\.0\.1:$port/}{}r } split /\n/, $ran->{out} }

subtest 'podman' => sub {
    plan skip_all => 'podman is not installed' if !find_program('podman');
    my $podman = Registry::Clients->podman;
    my $search = sub ($on, $term, @more) {
        my $ran = $podman->run('search', '--tls-verify=false', '--format', '{{.Name}}', @more, '127.0.0.1:' . $on->port . "/$term");
        return $ran->{exit} ? "exit $ran->{exit}: $ran->{err}" : printed($ran, $on->port);
    };
    is($search->($registry, 'app'),  'a.b_c--d/app2 old/app3 team/app', 'search');
    is($search->($registry, 'none'), '', 'nothing');
    is($search->($registry, ''), 'a.b_c--d/app2 library/busybox old/app3 team/app team/web/front-end zoo', 'all of them');
    is($search->($registry, 'app', '--limit', '1'), 'a.b_c--d/app2', 'one');
    like($search->($closed, 'secret'), qr/^exit/, 'without a password');
    works($podman->run('login', '--tls-verify=false', '-u', 'ann', '-p', 'secret', '127.0.0.1:' . $closed->port), 'login');
    is($search->($closed, 'secret'), 'team/secret', '... then it finds it, in the list of the second API');
    $podman->stop;
};

subtest 'docker' => sub {
    plan skip_all => 'a docker engine needs root'    if !is_root();
    plan skip_all => 'docker is not installed'       if !find_program('docker') || !find_program('dockerd');
    my $docker = Registry::Clients->docker_engine or return fail("the docker engine does not start: $@");
    my $search = sub ($on, $term, @more) {
        my $ran = $docker->run('search', '--no-trunc', '--format', '{{.Name}}', @more, '127.0.0.1:' . $on->port . "/$term");
        return $ran->{exit} ? "exit $ran->{exit}: $ran->{err}" : printed($ran, $on->port);
    };
    is($search->($registry, 'app'),  'a.b_c--d/app2 old/app3 team/app', 'search');
    is($search->($registry, 'team/web'), 'team/web/front-end', 'a name with slashes');
    is($search->($registry, 'none'), '', 'nothing');
    is($search->($registry, 'app', '--limit', '1'), 'a.b_c--d/app2', 'one');
    like($search->($closed, 'secret'), qr/^exit.*401/, 'without a password');
    works($docker->run('login', '-u', 'ann', '-p', 'secret', '127.0.0.1:' . $closed->port), 'login');
    is($search->($closed, 'secret'), 'team/secret', '... then it finds it');
    $docker->stop;
};

finish();
