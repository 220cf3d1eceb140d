#!/usr/bin/perl
# The manual pages are complete, correct for man and mandoc, and refer to each other; README is short, and its list of
# contents is right.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my @pages = files('src/man/*.[1-8]');
cmp_ok(scalar @pages, '>', 9, 'there are manual pages');
my %text = map { $_ => slurp($_) =~ s/^\.\\".*\n//mgr } @pages;

# src/man/docker-registry-server-hooks.5 -> docker-registry-server-hooks(5)
sub title ($page) { return $page =~ s{^.*/(.*)\.(\d)$}{$1($2)}r }
my %titles = map { title($_) => 1 } @pages;

sub plain ($text) { return $text =~ s/\\-/-/gr =~ s/\\f[BIR]//gr }

# ---- what programs say ----

# The second argument is what --version prints; other systems have another man.
sub complaints ($program, $version, $command) {
    SKIP: {
        if ((`$program --version 2>&1` // '') !~ $version) {
            skip "$program is not installed", 1 if ($ENV{CI} // '') ne 'true';
            return fail("$program is installed");
        }
        my @found;
        for my $page (@pages) {
            push @found, split /\n/, `@{[ sprintf $command, $page ]}`;
            push @found, "$page: exit $?" if $? != 0;
        }
        none(\@found, "$program has no complaints");
    }
    return;
}
complaints('mandoc', qr/^usage: mandoc/m, q(mandoc -Tlint -W style '%s' 2>&1));
complaints('man', qr/^man \d/, q(LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -l '%s' 2>&1 >/dev/null));

# ---- what they have to have ----

none([ grep { $text{$_} !~ /\A\.TH (\S+) (\d) \S+ \S+ "[^"]+"\n/ || plain(lc "$1($2)") ne title($_) } @pages ], 'each page has its title');
none([ grep { $text{$_} !~ /^\.SH NAME\n(\S+) \\- \S.*\n\.SH /m || title($_) !~ /^\Q${\ plain($1) }\E\(/ } @pages ], '... and its name, with a description in one line');

my @dangling;
for my $page (@pages) {
    my $text = plain($text{$page});
    push @dangling, map { "$page: $_" } grep { !$titles{$_} } map { s/ //r } $text =~ /(docker-registry-server(?:-[a-z-]+)? ?\(\d\))/g;
}
none(\@dangling, 'the pages that they refer to are there');

my @commands = ('serve', slurp('src/process/commands/command_table.c') =~ /^ +\{"([a-z-]+)",/mg);
cmp_ok(scalar @commands, '>', 4, 'there are commands');
none([ grep { !$titles{'docker-registry-server' . ($_ eq 'serve' ? '' : "-$_") . '(8)'} } @commands ], 'each command has a page');
my $program = plain($text{'src/man/docker-registry-server.8'});
none([ grep { $program !~ /^\.TP\n\.B \Q$_\E\b/m } @commands ], '... and a paragraph in the page of the program');

my $api = plain($text{'src/man/docker-registry-server-api.7'});
sub has_paragraph ($name) { return $api =~ /^\.TP\n\.B \Q$name\E$/m }

my $errors  = code('src/protocol/http/error_table.c');
my ($enum)  = code('src/util/err.h') =~ /^enum err_code \{(.*?)ERR_COUNT/ms;
my %rows    = map { $_ => 1 } $errors =~ /^ +\[(ERR_\w+)\] =/mg;
cmp_ok(scalar keys %rows, '>', 30, 'there are errors');
is_deeply([ sort keys %rows ], [ sort $enum =~ /\bERR_\w+/g ], '... each with its row in error_table.c');
my %codes = map { $_ => 1 } slurp('src/protocol/http/error_table.c') =~ /"([A-Z]+(?:_[A-Z]+)*)"/g;
none([ grep { !has_paragraph($_) } sort keys %codes ], '... and each code described');

my ($types) = $api =~ /^\.SH EVENTS\n.*?^\.TP\n\.B type\n(.*?)^\.TP/ms;
my ($events) = code('src/storage/tables/record.h') =~ /^enum event_type \{(.*?)\}/ms;
my @events = grep { $_ ne 'index' } map { lc } $events =~ /\bEVENT_(\w+) = \d/g;
cmp_ok(scalar @events, '>', 5, 'there are events');
none([ grep { $types !~ /\b$_\b/ } @events ], '... each named');
my @members = slurp('src/domain/events/event_text.c') =~ /json_set_\w+\(object, "(\w+)"/g;
cmp_ok(scalar @members, '>', 5, 'events have members');
none([ grep { !has_paragraph($_) } @members ], '... each described');

# "/v2/{name}/manifests/{reference}" is "/v2/NAME/manifests/REF". Clients alone call the others, when they log in.
my $unsaid = qr{^/v1/(users|repositories/\{name\}/auth$)};
my @routes = slurp('src/protocol/routes.c') =~ /^ +\{.+?, +"(\/[^"?]+)[^"]*",/mg;
my $all    = join "\n", map { plain($_) } values %text;
cmp_ok(scalar @routes, '>', 30, 'there are routes');
none([ grep { my $path = quotemeta(s{/\.\.\.$|/$}{}r) =~ s/\\\{\w+\\\}/[\\w:.-]+/gr; !/$unsaid/ && $all !~ /$path(?![\w-])/ } @routes ], '... each in a page');

# nginx's limit of passwords, which has no option.
my ($rate)  = slurp('conf/blocks.conf') =~ /^limit_req_zone .* rate=(\d+)r\/s;/m;
my ($burst) = slurp('conf/blocks.conf') =~ /^limit_req .* burst=(\d+) /m;
like($text{'src/man/docker-registry-server-api.7'}, qr/^$rate per second from one address, $burst at once/m, 'the limit of passwords is the one of nginx');
like(slurp('src/protocol/http/error_table.c'), qr/and $rate a second with a/, '... also in its error');

# What is copied from a page has to be the plain characters of ASCII.
my @typography;
for my $page (@pages) {
    for my $example ($text{$page} =~ /^\.EX\n(.*?)^\.EE$/msg) {
        push @typography, map { "$page: $_" } grep { /(?<!\\)-|['`^~]/ } split /\n/, $example;
    }
}
none(\@typography, 'characters of examples are escaped, so that they can be copied');

# ---- README ----

my $readme = slurp('README');
cmp_ok(scalar(split /\n/, $readme, -1) - 1, '<=', 200, 'README has at most 200 lines');
my ($title, @headings) = $readme =~ /^(\S[^\n]*)\n(?:=|-){3,}$/mg;
is(shift @headings, 'Contents', 'README begins with a list of contents');
my ($contents) = $readme =~ /^Contents\n-+\n(.*?)^\S/ms;
is_deeply([ map { s/ {2,}.*//r } $contents =~ /^    (\S.*)$/mg ], \@headings, '... which has its headings');
# Those of commands by their commands, on the lines that are indented further.
my ($commands) = $readme =~ /^    docker-registry-server-COMMAND\(8\).*\n((?: {8}.*\n)+)/m;
my %listed = map { ("docker-registry-server-$_(8)" => 1) } 'help', split ' ', $commands;
none([ grep { !$listed{$_} && $readme !~ /^    \Q$_\E(?:\s|$)/m } sort keys %titles ], 'README lists the manual pages');
done_testing();
