# The recipe "Finding space" of docker-registry-server(8), as it would be typed.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Tools;
use Test::More;

plan skip_all => 'no curl' if !(run([ 'curl', '--version' ])->{exit} == 0) && !$ENV{CI};
my $source = ($ENV{srcdir} // '../..') . '/src/man/docker-registry-server.8';
my ($recipe) = slurp($source) =~ /^\.SS Finding space\n.*?^\.EX\n(.*?)^\.EE$/ms;
my @lines = split /\n/, $recipe =~ s/\\-/-/gr;
is(scalar @lines, 8, 'the recipe has its commands');

my $place    = tempdir();
my $registry = Registry->start(dir => "$place/registry", args => [ '--lease', '5s', '--history-keep', '5s', '--gc-interval', '1s' ]);
my ($base, $app, $old) = map { random_bytes($_) } 20_000, 30_000, 50_000;
is_status($registry->push_image('team/app', '1.0',    [ $base, $app ]), 201, 'an image');
is_status($registry->push_image('team/app', 'latest', [$base]),         201, '... another one on the same base');
is_status($registry->push_image('team/old', '1', [ $base, $old ]), 201, '... and a repository that nobody needs');

sub typed ($line) {
    my $server  = Registry->program;
    my $command = $line =~ s{^docker-registry-server}{'$server'}r =~ s{localhost:8000}{${\ $registry->host }:${\ $registry->port }}r =~ s/^curl/curl -q -sS -f/r;
    my $ran = run([ 'sh', '-c', $command ], cwd => $place, timeout => 30);
    is($ran->{exit}, 0, $line) or diag($ran->{err});
    return $ran->{out};
}

like(typed($lines[0]), qr/^7\d\.\d kB +5\d\.\d kB +team\/old\n5\d\.\d kB +3\d\.\d kB +team\/app\n/m, 'the largest one first, and what is its own');
like(typed($lines[1]), qr/^5\d\.\d kB +3\d\.\d kB +1\.0\n2\d\.\d kB +\S+ \S+ +latest\n/m, 'its tags');
like(typed($lines[2]), qr/^in team\/app: stays as long as tag 1\.0 names it$/m, 'why it is kept');
typed($lines[3]);
like(typed($lines[4]), qr/^wait: 1 manifest,.*^manifest .*team\/app\@sha256:\w+ until \S+ \(history of a tag\)$/ms, 'what waits for the history of its tag');
ok(wait_for(20, sub { run([ 'sh', '-c', "'${\ Registry->program }' gc --untagged 0s --dry-run --dir registry" ], cwd => $place)->{out} =~ /^would go: 1 manifest/m }), '... until that is over');
like(typed($lines[5]), qr/^gone: 1 manifest.*^blob +30\.0 kB +\Q${\ digest($app) }\E until /ms, 'the manifest goes, and its layer waits for a lease');
like(typed($lines[6]), qr/^deleted from team\/old: 1 tag, 1 manifest$/m, 'a repository goes for good');
typed($lines[7]);
ok(wait_for(20, sub { !grep { $registry->blob_files(digest($_)) } $app, $old }), 'all of these bytes are free');
is_blob($registry, 'team/app', $base, 'and what is needed is there');
is_status($registry->get('/v2/team/app/manifests/latest'), 200, '... with its image');

finish();
