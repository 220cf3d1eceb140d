#!/usr/bin/perl
# Each file stands in a room, and includes only from the rooms that src/README, section 1, lists for
# it. Neither rooms nor files include each other in a circle.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

# "    domain/core: domain, domain/access, storage". A floor stands for all of its rooms.
my ($section) = slurp('src/README') =~ /^1\. Floors and rooms\n-+\n(.*?)^2\. /ms;
my %may = ($section // '') =~ /^    ([a-z0-9\/]+): +(\S[^\n]*(?:\n {8,}\S[^\n]*)*)/mg;
$_ = [ grep { $_ ne 'nothing' } split /[\s,]+/ ] for values %may;
cmp_ok(keys %may, '>', 20, 'src/README lists the rooms');

sub covers ($listed, $room) { return $room eq $listed || $room =~ m{^\Q$listed\E/} && !$may{$listed} }
none([ map { my $room = $_; map { my $to = $_; (grep { covers($to, $_) } keys %may) ? () : "$room: $to" } @{ $may{$room} } } sort keys %may ],
    'each room in the lists exists');

my @sources = sources();
# "storage/kv", and below it the names of its files, some as "tbl_*".
my %about;
for my $paragraph (split /^(?=\S)/m, ($section // '') =~ s/.*^The files of each room\n//msr) {
    my ($rooms) = $paragraph =~ m{^([\w/]+(?:, [\w/]+)*)} or next;
    my @names = map { s{\*}{\\w*}r } $paragraph =~ /\b([a-z][a-z0-9_]*\*?)/g;
    push @{ $about{ s{/$}{}r } }, @names for split /, /, $rooms;
}
sub is_told ($file) {
    my ($room, $stem) = $file =~ m{^src/(.*)/([^/]*)\.[ch]$} or return 0;
    return grep { $stem =~ /^$_$/ } @{ $about{$room} // [] };
}
none([ grep { !is_told($_) } @sources ], 'src/README says what each file is for');

# manual_data.c and conf_data.c are made by the build.
my %exists = map { s{^.*/}{}r => 1, s{^src/}{}r => 1 } @sources, files('tests/*/*.c');
my @names  = map { my $file = $_; map { "$file: $_" } grep { !$exists{$_} && !/_data\.c$/ } slurp($file) =~ m{(?<![\w./])([a-z]\w*(?:/\w+)*\.c)\b}g } 'src/README', @sources;
none(\@names, 'src/README and comments name files that exist');

# Section 17: each input names a test of it.
my ($inputs) = slurp('src/README') =~ /^Inputs\. .*?\n\n(.*?)^Processes\. /ms;
my @inputs   = split /^(?= {4}\S)/m, $inputs;
my $is_test  = qr/\b\d{3}-[a-z0-9-]+\.t\b|\b(?:test|fuzz)_\w+/;
cmp_ok(scalar @inputs, '>', 20, 'src/README lists the inputs');
none([ map { /^ {4}(.*)/ } grep { !/$is_test/ } @inputs ], '... each with a test');
my @tests = map { s{\n\s*}{}gr } slurp('src/README') =~ /(?<![\w\/])((?:test|fuzz)_[a-z0-9_]+\b|\d{3}-[a-z0-9-]+\.t\b)/g;
my %is = map { s{^.*/}{}r =~ s/\.c$//r => 1 } files('tests/*/*.c', 'tests/t/*.t');
none([ grep { !$is{$_} } @tests ], '... that exists');

my $includes = includes();
my (@homeless, @bad, %rooms, %modules);
for my $file (@sources) {
    my ($room) = $file =~ m{^src/(?:(.*)/)?[^/]*$};
    $room //= '';
    push @homeless, $file if !$may{$room};
    for my $include (@{ $includes->{$file} }) {
        my ($name) = $include =~ /^"(.*)"$/;
        # <domain/core/tag.h> would be one of ours, too.
        if (!defined $name) { push @bad, "$file: $include" if -e 'src/' . substr($include, 1, -1) || $include =~ m{^</}; next }
        my ($to) = $name =~ m{^(.*)/[^/]*\.h$};
        if (!defined $to || !$may{$to}) { push @bad, "$file: $include"; next }
        $modules{ $file =~ s{^src/|\.[ch]$}{}gr }{ $name =~ s{\.h$}{}r } = 1;
        next if $to eq $room;
        $rooms{$room}{$to} = 1;
        push @bad, "$file: $include" if $to ne 'util' && !grep { covers($_, $to) } @{ $may{$room} // [] };
    }
}
none(\@homeless, 'each source is in a room');
none(\@bad, 'a file includes only from the rooms that its own room may use');
none([ map { my $room = $_; map { my $to = $_; (grep { covers($to, $_) } keys %{ $rooms{$room} // {} }) ? () : "$room: $to" } @{ $may{$room} } } sort keys %may ],
    'and no room is listed that is not used');

# The members of a graph's circles, one line each: strongly connected components (Tarjan).
sub circles ($graph) {
    my (%index, %low, @stack, %on, @found);
    my $visit = sub ($self, $node) {
        $index{$node} = $low{$node} = keys %index;
        push @stack, $node;
        $on{$node} = 1;
        for my $next (sort keys %{ $graph->{$node} // {} }) {
            next if $next eq $node;
            if (!defined $index{$next}) {
                $self->($self, $next);
                $low{$node} = $low{$next} if $low{$next} < $low{$node};
            }
            elsif ($on{$next} && $index{$next} < $low{$node}) { $low{$node} = $index{$next} }
        }
        return if $low{$node} != $index{$node};
        my @members;
        do { push @members, pop @stack; delete $on{ $members[-1] } } until $members[-1] eq $node;
        push @found, join(' ', sort @members) if @members > 1;
    };
    for my $node (sort keys %$graph) { $visit->($visit, $node) if !defined $index{$node} }
    return @found;
}
none([ circles(\%rooms) ], 'rooms do not include each other in a circle');
none([ circles(\%modules) ], 'nor do files');
done_testing();
