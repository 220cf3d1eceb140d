#!/usr/bin/perl
# --help, the manual pages and the table of options say the same.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my $table   = 'src/process/options/options_table.c';
my $program = $ENV{REGISTRY_SERVER} // 'build/docker-registry-server';

# {"lease", 0, "time", "1h", "keep ...", SERVER " import", TIME(...)}, with the macros of texts replaced.
my $source = slurp($table);
my %macros = (("$source\n" . slurp($table =~ s/c$/h/r)) =~ s/ *\\\n\s*/ /gr) =~ /^#define (\w+) +(".*")$/mg;
my ($array) = $source =~ /^const struct options_row options_table\[\] = \{\n(.*?)^\};/ms;
$array =~ s/\b([A-Z]\w+)\b(?!\()/$macros{$1} \/\/ $1/ge;
$array =~ s/"\s+"//g;
my %rows;
for my $row (grep { /^"/ } split /^    \{/m, $array) {
    my @fields = $row =~ /("[^"]*"|'.'|[^",\s]+),\s*/g;
    my %row;
    @row{qw(name letter arg def help commands)} = map { /^["'](.*)["']$/ ? $1 : undef } @fields;
    # Commands may have options of one name, one with a value and one without.
    if (my $other = $rows{ $row{name} }) {
        $other->{commands} .= " $row{commands}";
        $other->{arg} //= $row{arg};
        next;
    }
    $rows{ $row{name} } = \%row;
}
my %completed = %rows; # with a name for each hook
# --on-{hook} is a name for many, one for each hook.
my @hooks = map { s/^on-//r } grep { /^on-/ } sort keys %rows;
my %hooks = map { $_ => 1 } slurp('src/domain/events/hook.c') =~ /\[HOOK_\w+\] = "([a-z-]+)"/g;
cmp_ok(scalar keys %hooks, '>', 5, 'there are hooks');
is_deeply(\@hooks, [ sort keys %hooks ], "... each an option in $table");
delete @rows{ map { "on-$_" } @hooks };
my @names = sort keys %rows;
cmp_ok(scalar @names, '>', 5, "$table has options");

my %commands = map { $_ => 1 } 'serve', slurp('src/process/commands/command_table.c') =~ /^ +\{"([a-z-]+)",/mg;
none([ map { my $name = $_; map { "$name: $_" } grep { !$commands{$_} } split / /, $rows{$name}{commands} } @names ], 'options name commands that exist');

sub options_in ($text) {
    my %seen = map { $_ => 1 } $text =~ /(?<![\w-])--([a-z][a-z0-9-]*)/g;
    delete @seen{ 'on-', map { "on-$_" } keys %hooks };
    return [ sort keys %seen ];
}

SKIP: {
    skip "no program at $program: set REGISTRY_SERVER", 2 if !-x $program;
    my $help = `'$program' --help 2>&1`;
    is($?, 0, '--help succeeds');
    is_deeply(options_in($help), \@names, '--help names the options of the table');
    none([ grep { my $l = $rows{$_}{letter}; $l && $help !~ /--\Q$_\E,\s+-$l\b/ } @names ], 'with their letters');
}

# What make has put in front of contrib/tables/completion.bash.
SKIP: {
    my $completion = $program =~ s{[^/]*$}{docker-registry-server.bash}r;
    skip "no completion at $completion: make it", 3 if !-e $completion;
    sub ask_completion ($file, $function, $argument) { return split ' ', `bash -c '. "\$0" && _docker_registry_server_$function "\$1"' '$file' '$argument'` }
    my @wrong;
    for my $command (sort keys %commands) {
        my @known = map { ("--$_", $completed{$_}{letter} ? "-$completed{$_}{letter}" : ()) } grep { " $completed{$_}{commands} " =~ / \Q$command\E / } keys %completed;
        push @wrong, $command if join(' ', sort @known) ne join ' ', sort(ask_completion($completion, 'options', $command));
    }
    none(\@wrong, 'the completion offers the options that each command knows');
    my @lettered = grep { $completed{$_}{letter} } sort keys %completed;
    none([ grep { join(' ', ask_completion($completion, 'value', "--$_")) ne ($completed{$_}{arg} // '') } sort keys %completed ], '... knows which of them take a value');
    none([ grep { join(' ', ask_completion($completion, 'value', "-$completed{$_}{letter}")) ne $completed{$_}{arg} } @lettered ], '... also by their letters');
}

SKIP: {
    my $configuration = $program =~ s{[^/]*$}{docker-registry-server.conf}r;
    skip "no configuration at $configuration: make it", 1 if !-e $configuration;
    my @settings = slurp($configuration) =~ /^#?([a-z-]+)(?: = \S+.*)?$/mg;
    is_deeply([ sort @settings ],
        [ sort grep { $completed{$_}{commands} =~ /^serve\b/ && !/^(?:config|help|version)$/ } keys %completed ], 'the configuration that is installed has all options');
}

# A page without comments and escapes, and without commands of other programs: those are examples, a line each, or
# several that end with a backslash.
sub manual ($page) {
    my $text = slurp($page) =~ s/^\.\\".*$//mgr =~ s/\\-/-/gr =~ s/\\f[BIRP]//gr =~ s/\\e$/\\/mgr;
    my $ours = sub ($example) { return join '', grep { /docker-registry-server / } $example =~ /((?:.*\\\n)*.*\n)/g };
    $text =~ s{^\.EX\n\K(.*?)(?=^\.EE$)}{ $ours->($1) }msge;
    return $text =~ s{tests/clients/run --(?:install|rules)}{}gr;
}

my %manuals = map { $_ => manual($_) } files('src/man/*.[1-8]');
cmp_ok(scalar keys %manuals, '>', 5, 'there are manual pages');
is_deeply(options_in(join "\n", values %manuals), \@names, 'the manual pages name the options of the table');
# Named is not described: each has a paragraph of its own, in one of the pages.
sub describing ($name) { return grep { $manuals{$_} =~ /^\.TP\n\.(?:B|BR|BI) --\Q$name\E\b(?!-)/m } sort keys %manuals }
none([ grep { describing($_) != 1 } @names ], 'and have one paragraph for each');
# Those that SIGHUP does not change.
my @restart = sort $source =~ /^    \{"([\w-]+)"(?:(?!^    \{").)*?\bRESTART\}/msg;
my ($told) = $manuals{'src/man/docker-registry-server.8'} =~ /^These options count after a restart only,[^:]*:\n(.*?)\.\n/ms;
is_deeply([ ($told // '') =~ /--([\w-]+)/g ], \@restart, 'the manual names the options that count after a restart only');
# "Default: 10s.", or the same in bold; the page says of --dir "the current directory".
sub paragraph ($name) { return $manuals{ (describing($name))[0] } =~ /^(\.TP\n\.(?:B|BR|BI) --\Q$name\E\b(?!-).*?)(?=^\.(?:TP|S[SH])\b)/ms ? $1 : '' }
none([ grep { my $def = $rows{$_}{def}; defined $def && $_ ne 'dir' && paragraph($_) !~ /(?:Default:|else)\s(?:\.BR )?\Q$def\E\b/ } @names ],
    '... with its default');
none([ grep { my ($command) = (describing($_))[0] =~ /server-([a-z-]+)\.8$/; $command && " $rows{$_}{commands} " !~ / $command / } @names ],
    '... in the page of a command that knows it');

# ---- the manual of the hooks ----

my $hooks_manual = $manuals{'src/man/docker-registry-server-hooks.5'};
my @variables    = slurp('src/domain/events/hook.c') =~ /set_variable\(env, "(REGISTRY_\w+)"/g;
cmp_ok(scalar @variables, '>', 5, 'hooks have variables');
none([ grep { $hooks_manual !~ /^\.TP\n\.BI \Q$_\E /m } sort keys %hooks ],    'each hook has a paragraph in its manual');
none([ grep { $hooks_manual !~ /^\.TP\n\.B \Q$_\E$/m } @variables ],           '... and each variable');
none([ grep { !-e || $hooks_manual !~ /^\.TP\n\.I \Q${\ (stem($_)) }\E$/m } files('hooks/*.sample') ], '... and each sample');
done_testing();
