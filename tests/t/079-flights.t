# With --database a request waits for the network as seldom as it can: each time costs as long as the way to PostgreSQL and
# back. These are the numbers of today; a change that needs one more fails here.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use List::Util qw(min);
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $TRIES    = 5;
my $pg       = Registry::Postgresql->start;
my $registry = Registry->start(
    env  => { PGPASSWORD => $pg->password },
    args => [ '--database', $pg->database('registry'), qw(--workers 1 --bulk-workers 1 --gc-interval 1h) ]
);

sub round_trips ($process) {
    my ($n) = $registry->get('/metrics')->content =~ /^registry_database_round_trips_total\{process="$process"\} (\d+)$/m;
    return $n;
}

# How often $work, which is given the number of its try, waits. Another transaction may cost it a repetition, so the least
# number of some tries counts. What the first request of a kind needs beyond that comes before.
sub waits ($pool, $most, $name, $work) {
    my @n;
    for my $try (0 .. $TRIES) {
        my $before = round_trips($pool);
        $work->($try);
        push @n, round_trips($pool) - $before;
    }
    shift @n;
    my $least = min(@n);
    cmp_ok($least, '>', 0, "$name: it asks the database");
    return cmp_ok($least, '<=', $most, "... and waits for it $most times at most") || diag("of the tries: @n");
}

# Images whose blobs are there, but not their manifests.
sub new_image ($salt) {
    my @layers = map { "$salt, layer $_: " . random_bytes(100) } 1 .. 10;
    my ($config, $manifest) = $registry->image_of(\@layers);
    is_status($registry->push_blob('a/b', $_), 201, 'a blob is pushed') for @layers, $config;
    return $manifest;
}

my @layers = map { random_bytes(300) } 1 .. 10;
is_status($registry->push_image('a/b', 'v0', \@layers), 201, 'an image is pushed');
my $of     = '/v2/a/b/manifests';
my $digest = $registry->get("$of/v0")->header('Docker-Content-Digest');
my $blob   = '/v2/a/b/blobs/' . digest($layers[0]);

# ---- pulls ----

waits('api', 2, 'GET of a manifest by tag',          sub ($i) { is_status($registry->get("$of/v0"), 200, 'it is there') });
waits('api', 2, 'HEAD of a manifest by tag',         sub ($i) { is_status($registry->head("$of/v0"), 200, 'it is there') });
waits('api', 1, 'GET of a manifest by digest',       sub ($i) { is_status($registry->get("$of/$digest"), 200, 'it is there') });
waits('api', 1, 'GET of a blob',                     sub ($i) { is_status($registry->get($blob), 200, 'it is there') });
waits('api', 1, 'HEAD of a blob',                    sub ($i) { is_status($registry->head($blob), 200, 'it is there') });
waits('api', 1, 'HEAD of a blob that is to be sent', sub ($i) { is_status($registry->head('/v2/a/b/blobs/' . digest("x$i")), 404, 'it is not there') });

waits('list', 1, 'a list of tags',                   sub ($i) { is_status($registry->get('/v2/a/b/tags/list'), 200, 'it is there') });

# ---- pushes ----

my ($same, @manifests) = map { new_image("image $_") } 0 .. 3 * $TRIES + 3;
waits('api', 4, 'PUT of a manifest with 10 new layers, and a new tag', sub ($i) {
    is_status($registry->put_manifest('a/b', "n$i", shift @manifests), 201, 'it is accepted');
});
waits('api', 4, '... with 10 new layers, and a tag that moves', sub ($i) {
    is_status($registry->put_manifest('a/b', 'moves', shift @manifests), 201, 'it is accepted');
});
waits('api', 3, '... with 10 new layers, by digest', sub ($i) {
    my $manifest = shift @manifests;
    is_status($registry->put_manifest('a/b', digest($manifest), $manifest), 201, 'it is accepted');
});
waits('api', 3, '... that is there already', sub ($i) {
    is_status($registry->put_manifest('a/b', 'same', $same), 201, 'it is accepted');
});
my $child = $registry->get("$of/moves");
waits('api', 6, 'PUT of an index', sub ($i) {
    my $index = json_of({
        schemaVersion => 2,
        mediaType     => 'application/vnd.oci.image.index.v1+json',
        manifests     => [ { mediaType => $child->header('Content-Type'), digest => digest($child->content), size => length $child->content } ],
        annotations   => { number => "$i" },
    });
    is_status($registry->put_manifest('a/b', "index$i", $index, 'application/vnd.oci.image.index.v1+json'), 201, 'it is accepted');
});

# ---- nothing to do ----

# It looks for new events, tells the other nodes that it lives, and rarely asks for more. Each is a few times in a minute.
my $LONG = 16;
sleep 9;    # after the pushes it looks more often
my $before = round_trips('keeper');
sleep $LONG;
my $asked = round_trips('keeper') - $before;
cmp_ok($asked, '>',  0,         'the keeper of an idle registry asks the database');
cmp_ok($asked, '<=', 4 * $LONG, '... but seldom') || diag("it asked $asked times in $LONG s");

# ---- what a worker remembers is never an answer ----

is_status($registry->get("$of/v0"), 200, 'the worker knows the repository');
my $sql = sub ($text) { is($pg->sql('registry', $text)->{exit}, 0, $text) };
$sql->(q(CREATE TABLE aside AS SELECT * FROM repo));
$sql->(q(DELETE FROM repo));
is_status($registry->get("$of/v0"), 404, 'after another server has removed it, it is gone at once');
is_status($registry->get("$of/$digest"), 404, '... with its manifests');
is_status($registry->head($blob), 404, '... and blobs');
$sql->(q(INSERT INTO repo SELECT * FROM aside));
is_status($registry->get("$of/v0"), 200, 'and is there again at once');
finish();
