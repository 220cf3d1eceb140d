# The client of S3 (storage/s3), with a strict server that fails as it is told, and with versitygw if that is installed.
use v5.36;
use Registry limit => 300;
use Registry::S3;
use Registry::Tools;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

my $build = dirname(Registry->program);
my $units = abs_path(dirname($0) . '/../unit');
skip_or_fail('the program was built without libcurl (Debian: libcurl4-openssl-dev)') if slurp(Registry->program) !~ /libcurl\.so/;
my $made = run([ 'make', '-s', '-C', $build, 'tests/unit/test_s3_client' ], timeout => 300);
BAIL_OUT("the unit test can't be built: $made->{err}") if $made->{exit} != 0;

sub run_client ($name, $env, $skipped) {
    my $ran = run([ 'sh', "$units/run", "$build/tests/unit/test_s3_client" ], env => { CMOCKA_MESSAGE_OUTPUT => 'TAP', %$env }, timeout => 200);
    my @ok  = $ran->{out} =~ /^ok \d+ - (?!.*# SKIP)/mg;
    ok($ran->{exit} eq '0' && $ran->{out} !~ /^not ok/m && @ok == 9 - $skipped, $name) or diag($ran->{out}, $ran->{err});
    return;
}

my $s3 = Registry::S3->start;
$s3->begin_upload('registry/sha256/ab/old.1',  2 * 86400);
$s3->begin_upload('registry/sha256/ab/new.1',  3600);
$s3->begin_upload('other/sha256/ab/foreign.1', 2 * 86400);
run_client('with a strict server', { REGISTRY_TEST_S3 => $s3->url, REGISTRY_TEST_S3_RUN => "$s3->{dir}/run", %{ $s3->env } }, 0);
is_deeply([ $s3->uploads ], [ 'other/sha256/ab/foreign.1', 'registry/sha256/ab/new.1' ], 'uploads in parts are given up when they are old, and ours');

SKIP: {
    my $versity = Registry::S3->versitygw or skip 'versitygw is not installed', 1;
    run_client('with versitygw', { REGISTRY_TEST_S3 => $versity->url, %{ $versity->env } }, 5);
}
finish();
