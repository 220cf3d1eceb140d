# The unit tests of all that uses the store pass with PostgreSQL, too. What looks at Berkeley DB itself is skipped, and says
# why.
use v5.36;
use Registry limit => 400;
use Registry::Postgresql;
use Registry::Tools;
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use Test::More;

my $build = dirname(Registry->program);
my $units = abs_path(dirname($0) . '/../unit');
skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

# Programs with a store, except those that are about the files of Berkeley DB.
my %files_of_berkeley_db = map { ("test_kv_$_" => 1) } qw(backup crash fresh lost_log);
my @programs = grep { !$files_of_berkeley_db{$_} } map { basename($_, '.c') }
    grep { slurp($_) =~ /\bfixture_store\b|"test_kv\.h"/ } sort glob "$units/test_*.c";
sub age ($file) { return -M $file // 1e9 }
if (my @old = grep { age("$build/tests/unit/$_") > age("$units/$_.c") } @programs) {    # by "make one"
    my $made = run([ 'make', '-s', '-C', $build, map { "tests/unit/$_" } @old ], timeout => 300);
    BAIL_OUT("the unit tests can't be built: $made->{err}") if $made->{exit} != 0;
}

cmp_ok(scalar @programs, '>', 30, 'there are programs');

# In memory if possible: thousands of files are made and removed.
my $tmp = -w '/dev/shm' ? "/dev/shm/registry-units-$$" : tempdir() . '/units';
my $main = $$;
mkdir $_, 0755 or die "$_: $!" for $tmp, "$tmp/server";
my $pg = Registry::Postgresql->start(tmp => "$tmp/server");
END { if (defined $main && $$ == $main) { local $?; $pg->stop if $pg; run([ 'rm', '-rf', $tmp ]) } }

my %env = (PGPASSWORD => $pg->password, TMPDIR => $tmp, CMOCKA_MESSAGE_OUTPUT => 'TAP');
my $AT_ONCE = 2;
my @url     = map { $pg->database("units$_") } 1 .. $AT_ONCE;
my @done    = in_parallel($AT_ONCE, 350, sub ($i) {
    my %ran;
    for my $at (grep { $_ % $AT_ONCE == $i } keys @programs) {
        $ran{ $programs[$at] } = run([ 'sh', "$units/run", "$build/tests/unit/$programs[$at]" ],
            env => { %env, REGISTRY_TEST_DATABASE => $url[$i] }, timeout => 150);
    }
    return \%ran;
});
my %ran = map { %{ $_ // {} } } @done;
for my $program (@programs) {
    my $r  = $ran{$program} // { exit => 'none', out => '', err => '' };
    my @ok = $r->{out} =~ /^ok \d+ - /mg;
    ok($r->{exit} eq '0' && $r->{out} !~ /^not ok/m && @ok > 0, sprintf '%s: %d tests, %.1f s', $program, scalar @ok, $r->{seconds} // 0)
        or diag($r->{out}, $r->{err});
    note($_) for $r->{err} =~ /^not here: .*/mg;
}
finish();
