# bash completes commands, options and values of the program, as the tables of the program have them.
use v5.36;
use Registry limit => 60;
use Registry::Tools;
use Test::More;

BEGIN { need('bash') }
my ($file) = Registry->program =~ s{[^/]*$}{docker-registry-server.bash}r;
-e $file or skip_or_fail("there is no $file");

my $tmp = tempdir();
mkdir "$tmp/$_" for qw(data day 'two);
spew("$tmp/$_", '') for 'data.conf', 'with blank';

# What bash offers for a line that ends at the cursor; words as bash splits them at blanks and "=".
sub offers ($line) {
    my @words = ($line =~ /=|[^\s=]+/g, $line =~ /\s$/ ? '' : ());
    my $ran   = run([ 'bash', '--norc', '-c', '. "$1" && shift && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _docker_registry_server && printf "%s\n" "${COMPREPLY[@]}"',
        'bash', $file, @words ], cwd => $tmp);
    is($ran->{err}, '', "$line: no complaint");
    return [ sort grep { length } split /\n/, $ran->{out} ];
}
my $us = 'docker-registry-server';

my $help     = Registry->try(['--help'])->{out};
my %commands = map { $_ => 1 } 'serve', $help =~ /^  ([a-z][a-z-]*)/mg;
cmp_ok(scalar keys %commands, '>', 5, 'there are commands');
is_deeply(offers("$us "), [ sort keys %commands ], 'the commands of --help');
is_deeply(offers("$us prin"), ['print-nginx-conf'], '... by their beginning');
for my $command (sort keys %commands) {
    my %next = map { $_ => 1 } $help =~ /^  \Q$command\E ([a-z]\S*)/mg;
    is_deeply([ grep { $next{$_} } @{ offers("$us $command ") } ], [ sort keys %next ], "$command: its words");
}
is_deeply(offers("$us user "), [qw(add del list passwd verify)], 'user: these and nothing else');
is_deeply(offers("$us user p"), ['passwd'], '... by their beginning');
is_deeply(offers("$us user --dir data p"), ['passwd'], '... behind an option with a value');
is_deeply(offers("$us user --dir=data --json p"), ['passwd'], '... and behind others');
is_deeply(offers("$us user add "), [], 'a name is for the user to say');
is_deeply(offers("$us hooks test pre-"), [ 'pre-delete', 'pre-tag' ], 'hooks');
is_deeply([ grep { /^hooks/ } @{ offers("$us help ") } ], [ 'hooks', 'hooks.5' ], 'topics');
is_deeply(offers("$us import d"), [ 'data', 'data.conf', 'day' ], 'files to import');

is_deeply(offers("$us --tls-"), [ '--tls-cert', '--tls-key', '--tls-port' ], 'options');
is_deeply(offers("$us serve --on-pre"), [ '--on-pre-delete', '--on-pre-tag' ], '... of serve, with those of hooks');
is_deeply(offers("$us user --ro"), ['--robot'], '... of a command');
is_deeply(offers("$us rotate-key --ro"), [], '... and not of another');
is_deeply(offers("$us --robo"), [], 'a command\'s option is not one of serve');

is_deeply(offers("$us --dir da"), [ 'data', 'day' ], 'a directory');
is_deeply(offers("$us -d da"), [ 'data', 'day' ], '... by the letter of the option');
is_deeply(offers("$us --dir=da"), [ 'data', 'day' ], '... behind =');
is_deeply(offers("$us --dir="), [ "'two", 'data', 'day' ], '... from its beginning');
is_deeply(offers("$us --config da"), [ 'data', 'data.conf', 'day' ], 'a file');
is_deeply(offers("$us --config with"), ['with blank'], '... whose name has a blank');
is_deeply(offers("$us --log-level "), [qw(debug error info warn)], 'levels');
is_deeply(offers("$us --run-as roo"), ['root'], 'users');
is_deeply(offers("$us access list roo"), [], '... and no user of the system where the registry\'s are meant');
is_deeply(offers("$us --port "), [], 'a port is nobody\'s to know');
is_deeply(offers("$us --port 1 "), [], 'behind options of serve there is nothing');
is_deeply(offers("$us --port 1 --tls-k"), ['--tls-key'], '... but options');
finish();
