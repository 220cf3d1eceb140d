# A database that isn't the registry's: with tables of another program, of a newer version, or without rights; or that isn't
# there, or has another password. A start is refused at once, in one line, which says why, and nothing is changed there. And
# one whose settings are low.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg = Registry::Postgresql->start;

sub refusal ($name, $url, $password = $pg->password) {    # an empty one: none
    my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', tempdir() . '/data', '--database', $url ],
        env => { PGPASSWORD => $password }, timeout => 90);
    is($ran->{exit}, 1, "$name: the start is refused");
    my @lines = grep { !/level=info/ } split /\n/, $ran->{err};
    is(scalar(@lines), 1, '... in one line') or diag($ran->{err});
    unlike($ran->{err}, qr/\Q$password\E/, '... without the password') if $password ne '';
    return $ran->{err};
}
sub tables ($database) { return $pg->sql($database, q(SELECT count(*) FROM pg_tables WHERE schemaname = 'public'))->{out} + 0 }

my $blog = $pg->database('blog');
$pg->sql('blog', 'CREATE TABLE tag (id serial PRIMARY KEY, name text)');
like(refusal('another program', $blog), qr/the database has a table "tag" of another program: give the registry a database of its own/, 'the line says why');
is(tables('blog'), 1, '... and no table was made');

my $texts = $pg->database('texts');
$pg->sql('texts', 'CREATE TABLE blob (k text PRIMARY KEY, v text NOT NULL)');
like(refusal('text instead of bytea', $texts), qr/table "blob" of another program/, 'the line says why');

my $newer = $pg->database('newer');
my $first = Registry->start(env => { PGPASSWORD => $pg->password }, args => [ '--database', $newer ]);
my $dir   = $first->dir;
$first->stop;
$pg->sql('newer', 'UPDATE kv_schema SET version = 2');
my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, '--database', $newer ], env => { PGPASSWORD => $pg->password }, timeout => 90);
is($ran->{exit}, 1, 'tables of a newer program: the start is refused');
is(scalar(grep { !/level=info/ } split /\n/, $ran->{err}), 1, '... in one line') or diag($ran->{err});
like($ran->{err}, qr/the database has version 2 of the tables, and this program knows version 1: use a newer docker-registry-server/, '... which says why');

my $locked = $pg->database('locked');
$pg->sql('locked', q(CREATE ROLE guest LOGIN PASSWORD 'guest-secret'));
like(refusal('a user without rights', $locked =~ s/registry@/guest@/r, 'guest-secret'), qr/permission denied for schema public/, 'the line says why');
is(tables('locked'), 0, '... and no table was made');

my $advice = qr/: is the user in --database right, and the password in PGPASSWORD or PGPASSFILE\?/;
like(refusal('a wrong password', $locked, 'wr0ng'), qr/password authentication failed.*$advice/, 'the line says what to do');
like(refusal('no password', $locked, ''), qr/no password supplied$advice/, 'the line says what to do');
like(refusal('an unknown user', $locked =~ s/registry@/nobody@/r), qr/nobody.*$advice/, 'the line says what to do');
like(refusal('a database that is not there', $locked =~ s/locked/none/r), qr/"none" does not exist: create it, or name another one with --database/,
    'the line says what to do');

$pg->stop;
$pg->launch('max_pred_locks_per_transaction=64');
my $few = Registry->start(env => { PGPASSWORD => $pg->password }, args => [ '--database', $pg->database('few') ], expected => qr/raise a setting/);
ok($few->logged(qr/transactions will conflict often.*max_pred_locks_per_transaction=64 wanted=256/), 'too few locks for predicates: the log says which setting to raise');
finish();
