#!/usr/bin/perl
# Layout, and nothing of anybody's machine.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use File::Find;
use Test::More;

my @all = files('configure.ac', 'Makefile.am', 'autogen.sh', 'README', 'COPYING', '.gitignore', '.clang-format');
find({ no_chdir => 1, wanted => sub { push @all, $_ if -f && !/~$|\.sw.$/ } },
    grep { -d } qw(.ci conf contrib hooks src tests));
# A build in the sources leaves these; data of tests may be anything.
@all = sort grep { !/\.(o|a|log|trs|Po)$|\.dirstamp$|_data\.c$/ && !m{/(data|corpus)/} && -T } @all;
cmp_ok(scalar @all, '>', 50, 'there are texts');

sub lines_with ($pattern, @files) {
    my @found;
    for my $file (@files) {
        my $n = 0;
        for my $line (lines($file)) {
            $n++;
            push @found, "$file:$n" if $line =~ $pattern;
        }
    }
    return \@found;
}

my @tabs_matter = grep { m{^Makefile\.am$|^contrib/debian/rules$} } @all;
my %tabs_matter = map  { $_ => 1 } @tabs_matter;
none(lines_with(qr/\t/, grep { !$tabs_matter{$_} } @all), 'no tabs');
none(lines_with(qr/[ \t\r]$/, @all), 'no blanks or carriage returns at line ends');
none([ grep { -s && substr(slurp($_), -1) ne "\n" } @all ], 'each text ends with a line end');
# The brackets keep this line from finding itself.
none(lines_with(qr{(?<![\w.])/(?:[h]ome|[r]oot|[w]ork|[U]sers)/}, @all), 'no paths of a machine');
none(lines_with(qr{^.{81}}, 'README', 'src/README'), 'README and src/README fit into 80 columns');
none(lines_with(qr/^(<{7}|>{7}|={7}$)/, @all), 'no leftovers of a merge');

SKIP: {
    # The layout differs from version to version; this is the one of Debian 12.
    my ($version) = (`clang-format --version 2>/dev/null` // '') =~ /version (\d+)/;
    skip 'clang-format 14 is not installed', 1 if ($version // 0) != 14;
    # One call for all: a process for each file takes half a minute.
    open my $out, '-|', 'sh', '-c', 'exec clang-format --dry-run -Werror "$@" 2>&1', 'sh', grep { m{^(src|tests)/.*\.[ch]$} } @all or die $!;
    my %bad = map { /^([^:]+):\d+:\d+: error/ ? ($1 => 1) : () } <$out>;
    $bad{'clang-format fails'} = 1 if !close $out && !%bad;
    none([ sort keys %bad ], 'the layout is that of .clang-format');
}
done_testing();
