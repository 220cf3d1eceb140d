#!/usr/bin/perl
# Makefile.am lists what is on disk: nothing is forgotten in a build, a test run or a release.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my %lists = slurp('Makefile.am') =~ /^(\w+) = ((?:[^\n]*\\\n)*[^\n]*)/mg;

sub listed ($name) { return grep { $_ ne '\\' } split ' ', $lists{$name} // '' }

sub check ($list, @on_disk) {
    is_deeply([ listed($list) ], \@on_disk, "$list is complete and sorted");
    return;
}

for my $floor (qw(util storage domain protocol process)) {
    check("${floor}_sources",
        grep { !m{^src/process/(main|conf_data)\.c$} } files("src/$floor/*.c", "src/$floor/*.h"));
}
check('unit_tests',   map { s/\.c$//r } files('tests/unit/test_*.c'));
check('unit_helpers', grep { !m{/test_[^/]*\.c$} } files('tests/unit/*.[ch]'));
check('bench_programs', map { s/\.c$//r } files('tests/bench/*.c'));
check('fuzzers',      map { s/\.c$//r } files('tests/fuzz/fuzz_*.c'));
check('fuzz_tests',   files('tests/fuzz/*.t'));
check('lint_tests',   files('tests/lint/*.t'));
check('system_tests', files('tests/t/*.t'));
check('man_pages',    files('src/man/*.[1-8]'));
check('conf_templates', reverse files('conf/*'));

my %kept = map { $_ => 1 } listed('test_files'), listed('papers'), listed('samples');
my @perl = grep { !m{^tests/bench/.*\.c$} } files('tests/lib/*.pm', 'tests/lib/*/*.pm', 'tests/lint/*.pm', 'tests/bench/*', 'tests/clients/run', 'tests/clients/*.pm', 'tests/clients/*/*.pm', 'tests/soak/*', 'tests/fuzz/run', 'tests/unit/run');
my @rest = files('src/README', 'contrib/*', 'hooks/*', '.ci/*');
none([ grep { !$kept{$_} } @perl, @rest ], 'test_files and papers are complete');
none([ grep { !-f } sort keys %kept ], 'and hold nothing that is gone');
done_testing();
