# What each hook did last, and what it wrote: for administrators.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

my $tmp = tempdir();
spew("$tmp/access", "**  ann  all\n**  bob  pull,create,overwrite\n");
my @args = (
    '--user', 'ann:ann-secret', '--user', 'bob:bob-secret', '--access', "$tmp/access", '--hook-retries', '0',
    '--on-tag',     q{[ "$REGISTRY_TAG" = quiet ] || printf '<b>of %s</b>\n\377\033[31m\302\233\342\200\256\nno end' "$2"; [ "$REGISTRY_TAG" != bad ] || exit 3},
    '--on-untag',   q{seq -f 'line %g' 5000; exit 4},
    '--on-delete',  q{kill -9 $$},
    '--on-pre-tag', q{echo "asked for $2"; [ "$REGISTRY_TAG" != refused ] || exit 7},
);
my $registry = Registry->start(args => \@args, expected => qr/hook failed|hooks? .*(?:failed|gave up|is kept)/);
my ($ann, $bob, $stranger) = ($registry->with(user => 'ann:ann-secret'), $registry->with(user => 'bob:bob-secret'), $registry->with);

sub hooks () { return { map { $_->{name} => $_ } @{ $ann->get('/v2/_hooks')->json->{hooks} } } }
sub last_of ($name) { return hooks()->{$name}{last} }

# The record of a hook, when it is of this tag.
sub ran ($name, $tag) {
    my $last;
    wait_for(15, sub { $last = last_of($name); defined $last && $last->{tag} eq $tag });
    return $last // {};
}

subtest 'before any has run' => sub {
    my $got = $ann->get('/v2/_hooks');
    is_status($got, 200, 'the hooks', 'Cache-Control' => 'no-store');
    is_deeply([ map { $_->{name} } @{ $got->json->{hooks} } ], [qw(image layer verify index tag untag manifest delete damage pre-tag pre-delete)], 'all, in one order');
    my $is = hooks();
    is_deeply([ sort grep { $is->{$_}{set} } keys %$is ], [qw(delete pre-tag tag untag)], 'those that are there');
    is_deeply([ grep { defined $is->{$_}{last} || defined $is->{$_}{problem} } keys %$is ], [], 'none has run');
};

subtest 'who may see them' => sub {
    is_error($stranger->get('/v2/_hooks'), 401, 'UNAUTHORIZED', 'a stranger may not');
    is_error($bob->get('/v2/_hooks'), 403, 'DENIED', 'a user who is no administrator may not');
    is_status($ann->head('/v2/_hooks'), 200, 'HEAD');
    is_error($ann->post('/v2/_hooks'), 405, 'UNSUPPORTED', 'nothing else');
};

subtest 'how they ended' => sub {
    my $layer = random_bytes(1000);
    is_status($bob->push_image('team/app', 'v1', [$layer]), 201, 'a push');
    my $last = ran('tag', 'v1');
    is_deeply([ @$last{qw(repository tag exit_code signal why)} ], [ 'team/app', 'v1', 0, undef, '' ], 'a hook that is done');
    is($last->{output}, "<b>of team/app:v1</b>\n??[31m??\nno end\n", '... with its output, as text');
    like($last->{$_}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "... when it $_") for qw(began ended);
    $last = ran('pre-tag', 'v1');
    is_deeply([ @$last{qw(exit_code output)} ], [ 0, "asked for team/app:v1\n" ], 'a pre-hook');
    is_error($bob->push_image('team/app', 'refused', [$layer]), 403, 'DENIED', 'one that refuses');
    is_deeply([ @{ ran('pre-tag', 'refused') }{qw(exit_code why output)} ], [ 7, '', "asked for team/app:refused\n" ], '... tells so');
    is_status($bob->push_image('team/app', 'bad', [$layer]), 201, 'a push');
    is(ran('tag', 'bad')->{exit_code}, 3, 'a hook that fails');
    is_status($bob->push_image('team/app', 'quiet', [$layer]), 201, 'a push');
    is(ran('tag', 'quiet')->{output}, '', 'one that writes nothing');
    is_status($ann->delete('/v2/team/app/manifests/bad'), 202, 'a tag is deleted');
    $last = ran('untag', 'bad');
    cmp_ok(length $last->{output}, '<=', 4096, 'of much output little is kept');
    like($last->{output}, qr/\Aline \d+\n(?:line \d+\n)*line 4999\nline 5000\n\z/, '... the last whole lines');
    is($last->{exit_code}, 4, '... and the exit code');
    my $digest = $ann->head('/v2/team/app/manifests/v1')->header('Docker-Content-Digest');
    is_status($ann->delete("/v2/team/app/manifests/$digest"), 202, 'a manifest is deleted');
    ok(wait_for(15, sub { last_of('delete') }), 'its hook');
    is_deeply([ @{ last_of('delete') }{qw(exit_code signal)} ], [ undef, 9 ], '... died of a signal');
    ok(defined $ann->get('/v2/_hooks')->json->{waiting}, 'how many wait') or diag($ann->get('/v2/_hooks')->content);
};

subtest 'what cannot be run' => sub {
    my $dir = $registry->dir;
    ok(!glob("$dir/run/*.new"), 'nothing unfinished is left');
    $registry->stop;
    mkdir "$dir/hooks";
    spew("$dir/hooks/image", "no first line\n");
    chmod 0755, "$dir/hooks/image";
    spew("$dir/run/hook-tag", '{"damaged');
    spew("$dir/run/hook-delete", '[]');
    spew("$dir/run/hook-untag.old", slurp("$dir/run/hook-untag"));
    symlink 'hook-untag.old', "$dir/run/hook-damage";
    mkdir "$dir/run/hook-index";
    spew("$dir/run/hook-verify", '{"output":"' . 'x' x 100_000 . '"}');
    $registry = Registry->start(dir => $dir, args => \@args, expected => qr/hook/);
    $ann = $registry->with(user => 'ann:ann-secret');
    is(last_of('untag')->{exit_code}, 4, 'a record outlives the server');
    is(last_of($_), undef, "a damaged one counts as none: $_") for 'tag', 'delete', 'damage', 'index', 'verify';
    like(hooks()->{image}{problem}, qr/must begin with a line/, 'why a hook cannot be run');
    is(hooks()->{image}{set}, JSON::PP::true, '... which is there');
    is_status($ann->push_image('team/app', 'again', [ random_bytes(100) ]), 201, 'a push');
    is(ran('tag', 'again')->{exit_code}, 0, 'and a new record');
};

finish();
