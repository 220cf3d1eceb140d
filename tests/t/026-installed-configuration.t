# The configuration that is installed is right as it stands, and with each of its defaults.
use v5.36;
use Registry limit => 60;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my ($file) = Registry->program =~ s{[^/]*$}{docker-registry-server.conf}r;
-e $file or skip_or_fail("there is no $file");
my $text = slurp($file);
my $tmp  = tempdir();

# As it stands, in another place, and by a user who is there.
my $us = getpwuid($>);
$us = 'www-data' if is_root();
spew("$tmp/as-it-is.conf", $text =~ s{^dir = \K\S+}{$tmp/data}mr =~ s{^run-as = \K\S+}{$us}mr);
my $registry = Registry->start(dir => undef, cwd => $tmp, args => [ '--config', "$tmp/as-it-is.conf" ]);
is_status($registry->get('/v2/'), 200, 'a registry with the configuration as it stands');
ok(-d "$tmp/data/layers", '... has its data where the configuration says');
kill 'TERM', $registry->pid;
ok(wait_for(20, sub { !$registry->running }), '... and stops');

# A wrong name in the last line is the only error.
my $all = $text =~ s/^#([a-z-]+(?: = [^A-Z\n]+)?)$/$1/mgr =~ s{^dir = \K\S+}{$tmp/data}mr =~ s{^run-as = \K\S+}{$us}mr;
cmp_ok(scalar(() = $all =~ /^[a-z-]+/mg), '>', 25, 'many options have a default');
spew("$tmp/all.conf", "${all}nonsense = 1\n");
my $ran = Registry->try([ '--config', "$tmp/all.conf" ]);
is($ran->{exit}, 2, 'all defaults written out, and one wrong line');
like($ran->{err}, qr/all\.conf, line @{[ 1 + ($all =~ tr|\n||) ]}: .*nonsense/, '... which is the only wrong one');
finish();
