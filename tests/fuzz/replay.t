# Inputs that once were of interest to a fuzzer: no parser stumbles over one of them, or breaks its promises.
use v5.36;
use Registry::Tools;
use Test::More;

my $sources = $ENV{srcdir} // '.';
my ($build) = ($ENV{REGISTRY_SERVER} // './program') =~ m{^(.*)/};

my @corpora = sort map { m{([^/]+)$} } glob "$sources/tests/fuzz/corpus/*";
my @fuzzers = sort map { m{/fuzz_(\w+)\.c$} } glob "$sources/tests/fuzz/fuzz_*.c";
is_deeply(\@corpora, \@fuzzers, 'each fuzzer has its inputs');

for my $name (@fuzzers) {
    my @inputs = sort glob "$sources/tests/fuzz/corpus/$name/*";
    cmp_ok(scalar @inputs, '>', 2, "$name: there are inputs");
    my $ran = run([ "$build/tests/fuzz/fuzz_$name", @inputs ], timeout => 120);
    ok(!$ran->{exit} && !$ran->{signal} && !$ran->{timed_out}, "$name: none breaks it")
        or diag("exit $ran->{exit}, signal $ran->{signal}\n", substr $ran->{err}, -4000);
}
done_testing();
